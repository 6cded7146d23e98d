//! One figure: what was measured on both sides, the ratio, and whether it keeps its promise.

use std::fmt;
use std::time::Duration;

/// What a figure is held to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target {
    /// Not less.
    AtLeast(f64),
    /// Not more.
    AtMost(f64),
    /// For information.
    None,
}

/// How the two sides are printed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unit {
    /// Calls in a second.
    PerSecond,
    /// A length of time; the numbers are seconds.
    Time,
}

/// A ratio of two sides, measured in several rounds.
pub(super) struct Figure {
    name: String,
    unit: Unit,
    target: Target,
    rounds: Vec<(f64, f64)>,
}

impl Figure {
    /// A figure without rounds.
    pub(super) fn new(name: impl Into<String>, unit: Unit, target: Target) -> Self {
        Figure { name: name.into(), unit, target, rounds: Vec::new() }
    }

    /// Adds a round: ours and the reference.
    pub(super) fn round(&mut self, ours: f64, reference: f64) {
        self.rounds.push((ours, reference));
    }

    /// Adds a round from the times of single calls.
    pub(super) fn times(&mut self, ours: &mut [Duration], reference: &mut [Duration]) {
        self.round(median(ours), median(reference));
    }
}

/// The middle one, in seconds.
pub(super) fn median(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(f64::NAN, Duration::as_secs_f64)
}

impl fmt::Display for Figure {
    /// `name: ours, reference, ratio, target, verdict`. Noise only ever makes a side slower, so each side's best round
    /// is nearest to what it costs; taking the best ratio instead would pick the round that disturbed the reference
    /// most. The median of the rounds' ratios stands beside it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let best = |values: Vec<f64>| {
            let better = match self.unit {
                Unit::PerSecond => f64::max,
                Unit::Time => f64::min,
            };
            values.into_iter().reduce(better)
        };
        let ours = best(self.rounds.iter().map(|(ours, _)| *ours).collect());
        let reference = best(self.rounds.iter().map(|(_, reference)| *reference).collect());
        let mut ratios: Vec<f64> = self.rounds.iter().map(|(ours, reference)| ours / reference).collect();
        ratios.sort_by(f64::total_cmp);
        let (Some(ours), Some(reference), Some(middle)) = (ours, reference, ratios.get(ratios.len() / 2))
        else {
            return write!(f, "{}: not measured", self.name);
        };
        let ratio = ours / reference;
        let show = |value: f64| match self.unit {
            Unit::PerSecond => format!("{value:.0}/s"),
            Unit::Time if value < 0.01 => format!("{:.0} µs", value * 1e6),
            Unit::Time => format!("{:.1} ms", value * 1e3),
        };
        let (ours, reference) = (show(ours), show(reference));
        write!(
            f,
            "{}: {ours}, {reference}, {ratio:.2} (median of {}: {middle:.2}), ",
            self.name,
            ratios.len()
        )?;
        match self.target {
            Target::AtLeast(target) => write!(f, "≥ {target:.2}, {}", verdict(ratio >= target)),
            Target::AtMost(target) => write!(f, "≤ {target:.2}, {}", verdict(ratio <= target)),
            Target::None => write!(f, "no target"),
        }
    }
}

/// Whether a promise is kept.
pub(super) fn verdict(kept: bool) -> &'static str {
    if kept { "ok" } else { "MISS" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_round_of_each_side_counts_and_the_median_stands_beside_it() {
        let mut figure = Figure::new("calls", Unit::PerSecond, Target::AtLeast(0.8));
        // The second round disturbed the reference, the third both.
        for (ours, reference) in [(700.0, 1000.0), (850.0, 600.0), (60.0, 100.0)] {
            figure.round(ours, reference);
        }
        assert_eq!(figure.to_string(), "calls: 850/s, 1000/s, 0.85 (median of 3: 0.70), ≥ 0.80, ok");
        let mut figure = Figure::new("call", Unit::Time, Target::AtMost(1.5));
        figure.times(
            &mut [Duration::from_micros(300), Duration::from_micros(310), Duration::from_millis(90)],
            &mut [Duration::from_micros(155); 3],
        );
        assert_eq!(figure.to_string(), "call: 310 µs, 155 µs, 2.00 (median of 1: 2.00), ≤ 1.50, MISS");
    }
}
