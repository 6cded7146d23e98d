//! The digest stays within 7,500 bytes whatever the records hold, and says what it left out.

use serde_json::{Value, json};

use crate::context::Place;
use crate::rows::text;

const MAX_BYTES: usize = 7500;

/// The digest, as many bytes as it promises at most.
fn digest(place: &Place, more: &[&str]) -> Value {
    let outcome = place.run([&["R0", "--json"], more].concat());
    assert!(outcome.status.success(), "{outcome:?}");
    assert!(outcome.stdout.len() <= MAX_BYTES, "{} bytes", outcome.stdout.len());
    serde_json::from_str(&outcome.stdout).unwrap()
}

fn policy(place: &Place, title: &str, priority: &str, summary: &str, body: &str, trigger: &str) {
    let call = ["X1", "--title", title, "--summary", summary, "--body", body, "--priority", priority];
    place.ok(&[&call[..], &["--trigger", trigger]].concat());
}

/// Every policy keeps a title and a summary.
fn assert_policies(digest: &Value, count: usize) {
    let policies = digest["policies"].as_array().unwrap();
    assert_eq!(policies.len(), count, "{}", digest["omitted"]);
    for policy in policies {
        assert!(!text(policy, "title").is_empty() && !text(policy, "summary").is_empty(), "{policy}");
    }
}

#[test]
fn twenty_critical_policies_with_long_bodies_keep_their_titles_and_summaries() {
    let place = Place::new();
    let body = "ö".repeat(30 * 1024);
    for number in 0..20 {
        policy(
            &place,
            &format!("Rule {number}"),
            "critical",
            &format!("Do {number}."),
            &body,
            "session-start",
        );
    }
    let digest = digest(&place, &[]);
    assert_policies(&digest, 20);
    assert_eq!(digest["policies"][0]["title"], "Rule 19");
    assert_eq!(digest["policies"][19]["summary"], "Do 0.");
    let body = text(&digest["policies"][0], "body");
    assert!(body.starts_with('ö') && body.ends_with('…'), "{body}");
    assert_eq!(digest["omitted"]["policies"]["shortened"], 20);
    assert!(digest["omitted"]["policies"].get("left_out").is_none());
    assert!(text(&digest["omitted"]["policies"], "get").contains("X5"));
    assert!(digest["counts"].get("omitted").is_none());
}

/// Fills every list with texts as long as they may be.
fn fill(place: &Place, piece: &str, critical: usize) {
    let text = |bytes: usize| piece.repeat(bytes / piece.len());
    let (title, summary, body) = (text(512), text(2048), text(64 * 1024));
    for _ in 0..critical {
        policy(place, &title, "critical", &summary, &body, &summary);
    }
    for _ in 0..6 {
        place.ok(&["G1", "--title", &title, "--summary", &summary, "--body", &body]);
        place.ok(&["W1", "--title", &title, "--summary", &summary, "--body", &body]);
        place.ok(&[
            "Q2",
            "--summary",
            &summary,
            "--task-id",
            &title,
            "--severity",
            &title,
            "--actionability",
            &title,
        ]);
        let learning = place.id(&["L1", "--title", &title, "--summary", &summary, "--body", &body]);
        place.ok(&["L3", "--id", &learning]);
    }
}

#[test]
fn the_longest_texts_in_every_field_fit() {
    // Characters of one, two and four bytes, one that JSON doubles, and one of which it makes six.
    for piece in ["x", "ü", "🦀", "\"", "\u{1}"] {
        let place = Place::new();
        fill(&place, piece, 20);
        let all = digest(&place, &[]);
        assert_policies(&all, 20);
        assert_eq!(all["counts"]["policies_active"], 20);
        assert_eq!(all["counts"]["tasks_active"], 6);
        for list in ["active_gotchas", "blocking_verifications", "recent_learned", "active_tasks"] {
            let shown = all[list].as_array().unwrap().len();
            let left_out = all["omitted"][list]["left_out"].as_u64().unwrap_or(0);
            assert_eq!(u64::try_from(shown).unwrap() + left_out, 5, "{list}: {}", all["omitted"]);
        }
        digest(&place, &["--limit", "-1"]);
        digest(&place, &["--since", "10"]);
    }
}

#[test]
fn without_policies_each_list_keeps_something_whole() {
    let place = Place::new();
    let long = "s".repeat(400);
    for _ in 0..10 {
        place.ok(&["G1", "--title", "T", "--summary", &long, "--body", "B"]);
        place.ok(&["W1", "--title", "T", "--summary", &long]);
        place.ok(&["Q2", "--summary", &long]);
        let learning = place.id(&["L1", "--title", "T", "--summary", &long]);
        place.ok(&["L3", "--id", &learning]);
    }
    let digest = digest(&place, &["--limit", "10"]);
    for list in ["active_gotchas", "blocking_verifications", "recent_learned", "active_tasks"] {
        let shown = digest[list].as_array().unwrap();
        assert!(shown.len() >= 2, "{list}: {}", digest["omitted"]);
        assert_eq!(shown[0]["summary"], long.as_str());
        assert_eq!(digest["omitted"][list]["left_out"], 10 - shown.len());
    }
}

#[test]
fn the_least_important_goes_first() {
    let place = Place::new();
    let body = "b".repeat(1500);
    for (number, priority) in ["low", "critical", "normal", "high", "low", "normal"].iter().enumerate() {
        policy(&place, &format!("{priority} {number}"), priority, "S.", &body, "session-start");
    }
    place.ok(&["G1", "--title", "T", "--summary", "S.", "--body", "B"]);
    let digest = digest(&place, &[]);
    // The bodies of the least important policies are shortened, the others and all records are whole.
    assert_policies(&digest, 6);
    let whole = |at: usize| digest["policies"][at]["body"] == body.as_str();
    assert!(whole(0) && whole(1), "{digest}");
    assert!(!whole(4) && !whole(5), "{digest}");
    assert_eq!(digest["active_gotchas"].as_array().unwrap().len(), 1);
    let shortened = (0..6).filter(|at| !whole(*at)).count();
    assert_eq!(
        digest["omitted"],
        json!({"policies": {"shortened": shortened, "get": digest["omitted"]["policies"]["get"]}})
    );
}

#[test]
fn not_a_byte_is_left_out_that_fits() {
    let place = Place::new();
    policy(&place, "T", "normal", "S.", "b", "session-start");
    let base = place.run(["R0", "--json"]).stdout.len() - 1;
    for (length, fits) in [(MAX_BYTES - base, true), (MAX_BYTES - base + 1, false)] {
        let place = Place::new();
        policy(&place, "T", "normal", "S.", &"b".repeat(length), "session-start");
        let digest = digest(&place, &[]);
        assert_eq!(digest.get("omitted").is_none(), fits, "{length}");
        assert_eq!(text(&digest["policies"][0], "body").len() == length, fits);
    }
}

#[test]
fn the_command_that_shows_the_rest_works() {
    let place = Place::new();
    fill(&place, "x", 1);
    for number in 0..25 {
        policy(&place, &format!("N{number}"), "normal", &"n".repeat(500), "", "session-start");
    }
    let digest = digest(&place, &["--limit", "6"]);
    let omitted = digest["omitted"].as_object().unwrap();
    assert_eq!(omitted.len(), 5, "{omitted:?}");
    for (list, omission) in omitted {
        let command = text(omission, "get").strip_prefix("kaizenctl ").unwrap();
        let shown = place.ok(&command.trim_end_matches(" --json").split(' ').collect::<Vec<_>>());
        let records = shown["records"].as_array().or(shown[list].as_array()).unwrap();
        let left_out = usize::try_from(omission["left_out"].as_u64().unwrap_or(0)).unwrap();
        assert!(records.len() >= digest[list].as_array().unwrap().len() + left_out, "{list}: {command}");
    }
}
