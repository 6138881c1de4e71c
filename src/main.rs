//! The `ekvsnap` command: arguments in, one command run, outcome mapped to an exit status.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
