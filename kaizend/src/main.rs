//! The daemon's program: argument, lock, log, runtime.

use std::process::ExitCode;

use kaizen_proto::denial::Denial;
use kaizen_proto::endpoint::RuntimeDir;
use kaizend::ingest::extract::child;
use kaizend::lifecycle::{self, Options, log};

const HELP: &str = "\
kaizend - the daemon that owns the data planes of a user's projects

kaizenctl starts it by itself; nobody else needs to.

Usage: kaizend [--detach]

  --detach     Leave the terminal's session; say `ready` on standard output once the socket listens
  --version    Print the version
  --help       Print this

KAIZEN_RUNTIME_DIR names another directory for socket, lock and logs; KAIZEN_LOG or RUST_LOG a log filter;
KAIZEN_IDLE_EXIT the seconds after which an idle daemon ends (1800); KAIZEN_PEER_TIMEOUT the seconds after which a
peer that does not read its replies is dropped (30).
";

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "the program's own face")]
fn main() -> ExitCode {
    // The daemon lets files be read by a child of its own kind; nobody calls that by hand.
    if std::env::args_os().nth(1).is_some_and(|word| word == child::COMMAND) {
        return child::main(std::env::args_os().skip(2));
    }
    let mut detach = false;
    for argument in std::env::args_os().skip(1) {
        match argument.to_str() {
            Some("--detach") => detach = true,
            Some("--version" | "-V") => {
                println!("kaizend {}", kaizen_proto::VERSION);
                return ExitCode::SUCCESS;
            }
            Some("--help" | "-h") => {
                print!("{HELP}");
                return ExitCode::SUCCESS;
            }
            _ => {
                eprint!("kaizend: unknown argument {}\n\n{HELP}", argument.display());
                return ExitCode::from(2);
            }
        }
    }
    match run(detach) {
        Ok(()) => ExitCode::SUCCESS,
        Err(denial) => {
            eprintln!("{}", denial.to_json());
            ExitCode::from(denial.exit_code())
        }
    }
}

fn run(detach: bool) -> Result<(), Denial> {
    let runtime = RuntimeDir::resolve()?;
    #[cfg(unix)]
    if detach {
        // Fails only for a process that leads a group already, which is detached enough.
        let _ = rustix::process::setsid();
    }
    raise_file_limit();
    // One thread reads, decodes and answers; what takes time runs elsewhere: writes on their plane's writer, queries on
    // the readers' threads, files on the blocking pool. A second thread made a round trip take half as long again, for
    // the two wake each other.
    let tokio = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| kaizend::plane::fault::unexpected("start the runtime", &error))?;
    tokio.block_on(async {
        let claim = lifecycle::claim(&runtime)?;
        log::start(&runtime)?;
        lifecycle::serve(claim, &Options::new(runtime), || announce(detach)).await
    })
}

/// Each connection needs a file descriptor, and the usual limit of a shell allows too few of them.
fn raise_file_limit() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        // Fewer connections are no reason not to start.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    }
}

/// Tells whoever started the daemon that it listens, and lets go of their standard output.
fn announce(detach: bool) {
    use std::io::Write as _;
    if !detach {
        return;
    }
    // Whoever started the daemon may have gone away meanwhile.
    let _ = std::io::stdout().write_all(b"ready\n").and_then(|()| std::io::stdout().flush());
    #[cfg(unix)]
    if let Ok(nowhere) = std::fs::File::options().write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stdout(&nowhere);
        let _ = rustix::stdio::dup2_stderr(&nowhere);
    }
}
