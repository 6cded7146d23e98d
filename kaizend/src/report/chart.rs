//! Small charts, written as Mermaid, which GitHub and editors draw.

use serde::Serialize;

use super::escape::label;

/// Bars or points of a chart at most.
const POINTS: usize = 60;
/// Slices of a pie at most.
const SLICES: usize = 12;
/// Larger numbers are left out: a chart of them shows nothing.
const LARGEST: f64 = 1e15;

/// A chart.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Chart {
    /// A bar for each step in time.
    Bars {
        /// What it shows.
        title: String,
        /// What is counted.
        unit: &'static str,
        /// Name and height of each bar.
        points: Vec<(String, f64)>,
    },
    /// A line over time.
    Line {
        /// What it shows.
        title: String,
        /// What is measured.
        unit: &'static str,
        /// Name and height of each point.
        points: Vec<(String, f64)>,
    },
    /// Parts of a whole.
    Pie {
        /// What it shows.
        title: String,
        /// Name and size of each part.
        slices: Vec<(String, i64)>,
    },
}

/// The script of a chart, without the fence; none when there is nothing to draw.
pub(super) fn script(chart: &Chart) -> Option<String> {
    match chart {
        Chart::Bars { title, unit, points } => series("bar", title, unit, points, true),
        Chart::Line { title, unit, points } => series("line", title, unit, points, false),
        Chart::Pie { title, slices } => {
            let mut lines = vec!["pie showData".to_owned(), format!("    title {}", label(title))];
            let drawn = slices.iter().filter(|(_, size)| *size > 0).take(SLICES);
            lines.extend(drawn.map(|(name, size)| format!("    \"{}\" : {size}", label(name))));
            (lines.len() > 2).then(|| lines.join("\n"))
        }
    }
}

fn series(kind: &str, title: &str, unit: &str, points: &[(String, f64)], from_zero: bool) -> Option<String> {
    let drawn: Vec<&(String, f64)> =
        points.iter().filter(|(_, height)| height.is_finite() && height.abs() < LARGEST).collect();
    // The last ones: time goes on to the right.
    let drawn = &drawn[drawn.len().saturating_sub(POINTS)..];
    if drawn.is_empty() {
        return None;
    }
    let heights = || drawn.iter().map(|(_, height)| *height);
    let mut low = heights().fold(f64::INFINITY, f64::min);
    let mut high = heights().fold(f64::NEG_INFINITY, f64::max);
    if from_zero {
        low = low.min(0.0);
    }
    if low >= high {
        (low, high) = (low - 1.0, high + 1.0);
    }
    let names: Vec<String> = drawn.iter().map(|(name, _)| format!("\"{}\"", label(name))).collect();
    let values: Vec<String> = heights().map(|height| height.to_string()).collect();
    Some(format!(
        "xychart-beta\n    title \"{}\"\n    x-axis [{}]\n    y-axis \"{}\" {low} --> {high}\n    {kind} [{}]",
        label(title),
        names.join(", "),
        label(unit),
        values.join(", ")
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn charts_are_written_as_mermaid_reads_them() {
        let points = vec![("11-20".to_owned(), 2.0), ("11-21".to_owned(), 0.0), ("11-22".to_owned(), 5.0)];
        let bars = Chart::Bars { title: "Events \"a day\"".into(), unit: "events", points: points.clone() };
        assert_eq!(
            script(&bars).unwrap(),
            "xychart-beta\n    title \"Events a day\"\n    x-axis [\"11-20\", \"11-21\", \"11-22\"]\n    \
             y-axis \"events\" 0 --> 5\n    bar [2, 0, 5]"
        );
        let line = Chart::Line { title: "T".into(), unit: "score", points: vec![("a".into(), 0.5)] };
        assert!(script(&line).unwrap().contains("-0.5 --> 1.5\n    line [0.5]"));
        let pie = Chart::Pie {
            title: "Outcomes".into(),
            slices: vec![("A\" ; 1\n%%{init}%%".into(), 2), ("zero".into(), 0)],
        };
        assert_eq!(script(&pie).unwrap(), "pie showData\n    title Outcomes\n    \"A 1 init\" : 2");
    }

    #[test]
    fn nothing_to_draw_is_no_chart() {
        assert_eq!(script(&Chart::Pie { title: "T".into(), slices: vec![("a".into(), 0)] }), None);
        let points = vec![("a".into(), f64::NAN), ("b".into(), f64::INFINITY), ("c".into(), 1e300)];
        assert_eq!(script(&Chart::Line { title: "T".into(), unit: "u", points }), None);
    }
}
