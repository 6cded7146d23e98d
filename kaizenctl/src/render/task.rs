//! W9 for people: one page about a task, what needs attention first.

use serde_json::{Map, Value};

/// The parts of the page in their order.
const ORDER: &[&str] = &[
    "task",
    "blocking",
    "plans",
    "timeline",
    "verifications",
    "open_gotchas",
    "lessons",
    "artifacts",
    "packets",
    "traces",
];

/// The reply as it is read, when it is one of W9: in the page's order, without what each row would only repeat.
pub(super) fn page(reply: &Map<String, Value>) -> Option<Map<String, Value>> {
    let task = reply.get("task")?.as_object()?;
    reply.get("timeline")?.as_array()?;
    let others = reply.keys().map(String::as_str).filter(|name| *name != "status" && !ORDER.contains(name));
    let mut page = Map::new();
    for name in ORDER.iter().copied().chain(others) {
        let Some(mut value) = reply.get(name).cloned() else { continue };
        for row in value.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
            if row.get("task_id") == task.get("id") {
                row.shift_remove("task_id");
            }
            if name == "timeline" {
                // The title has the operation and the record's id; the ledger's own id helps nobody.
                row.shift_remove("id");
            }
        }
        page.insert(name.to_owned(), value);
    }
    Some(page)
}
