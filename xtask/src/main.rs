//! Project chores: `cargo xtask CHORE`.

mod contract;

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
}

fn main() -> anyhow::Result<ExitCode> {
    match Arguments::parse().chore {
        Chore::Contract { check } => contract::run(check),
    }
}
