//! K15 without a daemon: when the call itself is refused, what can be seen from here is all the more needed.

use std::path::Path;

use kaizen_proto::denial::{Code, Denial};
use kaizen_proto::endpoint::RuntimeDir;
use kaizen_proto::families::core::{Examined, Finding};
use kaizen_proto::operation::Status;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::{Failure, Output, connect, print};

/// The reply when the daemon could not be asked, or refused the project.
pub(crate) fn without_daemon(failure: &Failure) -> Result<Output, Failure> {
    let denial = match failure {
        Failure::Denied(denial) => denial.to_json(),
        Failure::Refused(denial) => denial.clone(),
    };
    let mut findings = vec![refusal(&denial)];
    let program = connect::daemon_program();
    findings.push(finding("program", "ok", format!("kaizend is {}", program.display()), None));
    match RuntimeDir::resolve() {
        Ok(runtime) => {
            findings.push(private("runtime", runtime.path()));
            findings.push(private("socket", &runtime.socket()));
        }
        Err(denial) => findings.push(refusal(&Denial::to_json(&denial))),
    }
    let failed = findings.iter().filter(|finding| finding.level == "fail").count();
    let warned = findings.iter().filter(|finding| finding.level == "warn").count();
    let message =
        format!("The daemon could not examine the project; {failed} of {} findings fail.", findings.len());
    let examined = Examined { status: Status::Ok, message, healthy: false, failed, warned, findings };
    Ok(Output::Wanting(print::raw(&examined)?))
}

/// The reply of the daemon: what fails makes the call fail, so that scripts and CI notice.
pub(crate) fn examined(reply: Box<RawValue>) -> Result<Output, Denial> {
    let examined: Examined = serde_json::from_str(reply.get())
        .map_err(|error| Denial::new(Code::Protocol).message(error.to_string()))?;
    Ok(if examined.healthy { Output::Reply(reply) } else { Output::Wanting(reply) })
}

fn finding(check: &str, level: &str, detail: String, fix: Option<String>) -> Finding {
    Finding { check: check.to_owned(), level: level.to_owned(), detail, fix }
}

/// A denial as a finding. Its code says what it is about.
fn refusal(denial: &Value) -> Finding {
    let text = |name: &str| denial[name].as_str().map(str::to_owned);
    let code = text("code").unwrap_or_default();
    let check = match code.as_str() {
        "DENIED_CONFIG" => "config",
        "DENIED_PROJECT_NOT_FOUND" | "DENIED_PROJECT_REQUIRED" => "project",
        "DENIED_RUNTIME_DIR" => "runtime",
        _ => "daemon",
    };
    let mut detail = code.clone();
    if let Some(told) = text("message").or_else(|| text("reason")) {
        detail.push_str(&format!(": {told}"));
    }
    for name in ["path", "log"] {
        detail.extend(text(name).map(|told| format!("; {name}: {told}")));
    }
    finding(check, "fail", detail, text("required_action"))
}

/// Whether a file or directory of the daemon is there, and this user's alone.
fn private(check: &str, path: &Path) -> Finding {
    let shown = path.display();
    let Ok(metadata) = std::fs::symlink_metadata(path) else {
        return finding(check, "ok", format!("{shown} is not there; the daemon makes it"), None);
    };
    if check == "runtime" && !metadata.is_dir() {
        let fix = format!("Remove {shown}, or set KAIZEN_RUNTIME_DIR to a directory of your own.");
        return finding(check, "fail", format!("{shown} is not a directory"), Some(fix));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
        let own = rustix::process::geteuid().as_raw();
        if metadata.file_type().is_symlink() {
            let fix = format!("rm '{shown}'");
            return finding(check, "fail", format!("{shown} is a symbolic link"), Some(fix));
        }
        if metadata.uid() != own {
            let detail = format!("{shown} belongs to uid {}, this is {own}", metadata.uid());
            return finding(
                check,
                "fail",
                detail,
                Some("Set KAIZEN_RUNTIME_DIR to a directory of your own.".into()),
            );
        }
        if metadata.permissions().mode() & 0o077 != 0 {
            let fix = format!("chmod go= '{shown}'");
            return finding(check, "warn", format!("others may use {shown}"), Some(fix));
        }
    }
    let _ = metadata;
    finding(check, "ok", format!("{shown} is this user's alone"), None)
}
