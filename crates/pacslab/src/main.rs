//! The program: everything is in the library beside it, so that its configuration can be fuzzed.

use std::process::ExitCode;

fn main() -> ExitCode {
    pacslab::main()
}
