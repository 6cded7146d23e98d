//! Values against the part of JSON Schema that the contract's schemas are written in.

use serde_json::Value;

/// Whether a value is as a schema says; `root` holds the definitions.
pub(crate) fn check(root: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let pointer = reference.strip_prefix('#').unwrap_or(reference);
        let target = root.pointer(pointer).ok_or_else(|| format!("{at}: no definition {reference}"))?;
        check(root, target, value, at)?;
    }
    if let Some(kinds) = schema.get("type") {
        let fits = |kind: &Value| kind.as_str().is_some_and(|kind| is(kind, value));
        if !kinds.as_array().map_or_else(|| fits(kinds), |kinds| kinds.iter().any(fits)) {
            return Err(format!("{at}: {value:.200} is no {kinds}"));
        }
    }
    if schema.get("const").is_some_and(|wanted| wanted != value) {
        return Err(format!("{at}: {value:.200} is not {}", schema["const"]));
    }
    if schema["enum"].as_array().is_some_and(|allowed| !allowed.contains(value)) {
        return Err(format!("{at}: {value:.200} is none of {}", schema["enum"]));
    }
    if let (Some(least), Some(number)) = (schema["minimum"].as_f64(), value.as_f64())
        && number < least
    {
        return Err(format!("{at}: {number} is less than {least}"));
    }
    for choice in ["anyOf", "oneOf"] {
        if let Some(choices) = schema[choice].as_array()
            && !choices.iter().any(|one| check(root, one, value, at).is_ok())
        {
            return Err(format!("{at}: {value:.200} is as none of its {choice}"));
        }
    }
    for one in schema["allOf"].as_array().into_iter().flatten() {
        check(root, one, value, at)?;
    }
    if let Some(object) = value.as_object() {
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !object.contains_key(name) {
                return Err(format!("{at}: {name} is missing"));
            }
        }
        for (name, value) in object {
            let own = schema["properties"].get(name).or_else(|| schema.get("additionalProperties"));
            if let Some(own) = own.filter(|own| own.is_object()) {
                check(root, own, value, &format!("{at}.{name}"))?;
            }
        }
    }
    if let (Some(items), Some(list)) = (schema.get("items"), value.as_array()) {
        for (number, value) in list.iter().enumerate() {
            check(root, items, value, &format!("{at}[{number}]"))?;
        }
    }
    Ok(())
}

fn is(kind: &str, value: &Value) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}

#[test]
fn a_value_that_does_not_fit_is_told() {
    use serde_json::json;
    let schema = json!({"type": "object", "required": ["a"], "$defs": {"D": {"enum": ["x"]}},
        "properties": {"a": {"type": ["string", "null"]}, "b": {"type": "array", "items": {"$ref": "#/$defs/D"}}}});
    let fits = |value: Value| check(&schema, &schema, &value, "v").is_ok();
    assert!(fits(json!({"a": "x"})) && fits(json!({"a": null, "b": ["x"], "c": 1})));
    for value in
        [json!([]), json!({}), json!({"a": 1}), json!({"a": "", "b": {}}), json!({"a": "", "b": ["y"]})]
    {
        assert!(!fits(value.clone()), "{value}");
    }
}
