//! Project chores: `cargo xtask CHORE`.

#[cfg(unix)]
mod bench;
#[cfg(unix)]
mod burst;
mod contract;
mod crash;
#[cfg(unix)]
mod explain;
mod place;
mod random;
#[cfg(unix)]
mod retrieval;
#[cfg(unix)]
mod seed;
#[cfg(unix)]
mod wire;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(bin_name = "cargo xtask", about = "Project chores")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Write the contract's documents: docs/contract.json, docs/operations.md and the README's command index
    Contract {
        /// Write nothing; name the documents that are stale and fail if there are any
        #[arg(long)]
        check: bool,
    },
    /// Kill the daemon in the middle of writes, again and again, and compare what is stored with what it acknowledged
    Crash(crash::Options),
    /// Write a burst of files while clients write records, kill the daemon in the middle, and compare
    #[cfg(unix)]
    Burst(burst::Options),
    /// Look at the query plan of every statement that reading runs on a large data plane; none may read a whole table
    #[cfg(unix)]
    Explain(explain::Options),
    /// Measure the promised figures, each beside its reference
    #[cfg(unix)]
    Bench(bench::Options),
    /// Ingest documents that other people wrote, and find the passages that answer questions about them
    #[cfg(unix)]
    Retrieval(retrieval::Options),
    /// The reference for ping
    #[cfg(unix)]
    #[command(hide = true)]
    Echo {
        /// Where it listens
        socket: std::path::PathBuf,
    },
}

fn main() -> anyhow::Result<ExitCode> {
    match Arguments::parse().chore {
        Chore::Contract { check } => contract::run(check),
        Chore::Crash(options) => crash::run(&options),
        #[cfg(unix)]
        Chore::Burst(options) => burst::run(&options),
        #[cfg(unix)]
        Chore::Explain(options) => explain::run(&options),
        #[cfg(unix)]
        Chore::Bench(options) => bench::run(&options),
        #[cfg(unix)]
        Chore::Retrieval(options) => retrieval::run(&options),
        #[cfg(unix)]
        Chore::Echo { socket } => bench::echo(&socket).map(|()| ExitCode::SUCCESS),
    }
}
