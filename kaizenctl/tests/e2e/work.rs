//! Work (W).

use crate::context::Place;

#[test]
fn a_task_is_recorded_and_comes_back_in_the_digest() {
    let place = Place::new();
    let task = place.id(&["W1", "--title", "First", "--summary", "The first task."]);
    assert!(task.starts_with("t_"));
    let digest = place.ok(&["R0"]);
    assert_eq!(digest["active_tasks"][0]["id"], task.as_str());
    assert_eq!(digest["counts"]["active_tasks_without_ledger"], 1);
    place.ok(&["W2", "--id", &task, "--task-id", &task, "--status", "done"]);
    let digest = place.ok(&["R0"]);
    assert_eq!(digest["counts"]["tasks_active"], 0);
    assert_eq!(digest["counts"]["active_tasks_without_ledger"], 0);
}
