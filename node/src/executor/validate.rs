//! Whether a run is well-formed: what can be said without looking at module or inputs.

use super::{Input, Output, Run, RunFault};

/// Where programs have scratch space: writable, counted, and not part of the result. A run that mounts something there
/// has none.
pub const SCRATCH: &str = "/tmp";

/// Most arguments, and most environment variables.
const STRINGS: usize = 4096;
/// Bytes of all arguments, and of all environment variables.
const STRING_BYTES: usize = 1 << 20;
/// Most inputs, and most outputs.
const MOUNTS: usize = 1024;
/// Bytes of a mount's path, and of one of its names.
const PATH_BYTES: usize = 1024;
const NAME_BYTES: usize = 255;
/// Files of the result beside the outputs.
const RESERVED: [&str; 3] = ["stdout", "stderr", "exitCode"];

impl Run {
    /// Whether the program has scratch space at [`SCRATCH`].
    #[must_use]
    pub fn has_scratch(&self) -> bool {
        let inputs = self.inputs.iter().map(|input| &input.guest_path);
        !self.outputs.iter().map(|output| &output.guest_path).chain(inputs).any(|path| overlap(path, SCRATCH))
    }

    /// Checks arguments, environment and mounts.
    ///
    /// # Errors
    ///
    /// The first fault found; every executor finds the same.
    pub fn validate(&self) -> Result<(), RunFault> {
        self.validate_strings()?;
        self.validate_mounts()
    }

    fn validate_strings(&self) -> Result<(), RunFault> {
        let fault =
            |what, name: &str, why| Err(RunFault::Argument { what, name: name.chars().take(64).collect(), why });
        let (argument, variable) = ("argument", "environment variable");
        if self.args.len() > STRINGS || self.args.iter().map(String::len).sum::<usize>() > STRING_BYTES {
            return fault(argument, "", "there are more than 4096 of them, or more than 1 MiB");
        }
        if let Some(arg) = self.args.iter().find(|arg| arg.contains('\0')) {
            return fault(argument, arg, "it holds NUL");
        }
        let bytes: usize = self.env.iter().map(|(name, value)| name.len() + value.len()).sum();
        if self.env.len() > STRINGS || bytes > STRING_BYTES {
            return fault(variable, "", "there are more than 4096 of them, or more than 1 MiB");
        }
        let mut names = std::collections::HashSet::new();
        for (name, value) in &self.env {
            if name.is_empty() {
                return fault(variable, name, "its name is empty");
            }
            if name.contains(['=', '\0']) {
                return fault(variable, name, "its name holds `=` or NUL");
            }
            if value.contains('\0') {
                return fault(variable, name, "its value holds NUL");
            }
            if !names.insert(name) {
                return fault(variable, name, "it is there twice");
            }
        }
        Ok(())
    }

    fn validate_mounts(&self) -> Result<(), RunFault> {
        let fault = |path: &str, why: &str| Err(RunFault::Mount { path: path.to_owned(), why: why.to_owned() });
        if self.inputs.len() > MOUNTS || self.outputs.len() > MOUNTS {
            return fault("", "there are more than 1024 inputs or outputs");
        }
        let mut writable: Vec<&str> = Vec::new();
        for Output { name, guest_path } in &self.outputs {
            check_path(guest_path)?;
            if name.is_empty() || name.len() > NAME_BYTES || name.contains(['/', '\0']) || matches!(&**name, "." | "..")
            {
                return fault(name, "an output's name must be one path component");
            }
            if RESERVED.contains(&&**name) || self.outputs.iter().filter(|other| other.name == *name).count() > 1 {
                return fault(name, "the result has something else of that name");
            }
            if let Some(other) = writable.iter().find(|other| overlap(guest_path, other)) {
                return fault(guest_path, &format!("it overlaps {other}"));
            }
            writable.push(guest_path);
        }
        let mut inputs = std::collections::HashSet::new();
        for Input { guest_path, .. } in &self.inputs {
            check_path(guest_path)?;
            if !inputs.insert(guest_path) {
                return fault(guest_path, "two inputs have that path");
            }
            if let Some(other) = writable.iter().find(|other| overlap(guest_path, other)) {
                return fault(guest_path, &format!("it overlaps {other}, which the program may write"));
            }
        }
        Ok(())
    }
}

fn check_path(path: &str) -> Result<(), RunFault> {
    let fault = |why: &str| Err(RunFault::Mount { path: path.chars().take(64).collect(), why: why.to_owned() });
    let Some(names) = path.strip_prefix('/') else { return fault("it must be absolute") };
    if path.len() > PATH_BYTES {
        return fault("it has more than 1024 bytes");
    }
    if names.contains('\0') {
        return fault("it holds NUL");
    }
    for name in names.split('/') {
        match name {
            "" => return fault("it has an empty component"),
            "." | ".." => return fault("it has a component `.` or `..`"),
            _ if name.len() > NAME_BYTES => return fault("a component has more than 255 bytes"),
            _ => {}
        }
    }
    Ok(())
}

/// Whether one path is the other or lies inside it.
fn overlap(a: &str, b: &str) -> bool {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    long.strip_prefix(short).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;
    use crate::executor::{EngineRun, Limits, ModuleSource, RunId, WasmRun};

    fn run() -> Run {
        let limits =
            Limits { fuel: 1, memory_bytes: 0, output_bytes: 0, output_entries: 0, wall: Duration::from_secs(1) };
        let engine = EngineRun::Wasm(WasmRun::new(ModuleSource::Bytes(Bytes::new())));
        Run::new(RunId([0; 32]), engine, limits, "/nowhere")
    }

    fn input(guest_path: &str) -> Input {
        Input { guest_path: guest_path.to_owned(), host_path: "/nowhere".into() }
    }

    #[test]
    fn a_plain_run_is_well_formed() {
        let mut run = run();
        run.args = vec![String::new(), "a b".to_owned(), "ü=".to_owned()];
        run.env = vec![("KEY".to_owned(), "a=b".to_owned()), ("EMPTY".to_owned(), String::new())];
        run.inputs = vec![input("/inputs"), input("/inputs/deep/er"), input("/data")];
        assert_eq!(run.validate(), Ok(()));
    }

    #[test]
    fn strings_must_be_passable() {
        for (name, value) in [("", "x"), ("A=B", "x"), ("A\0", "x"), ("A", "x\0")] {
            let mut run = run();
            run.env = vec![(name.to_owned(), value.to_owned())];
            assert!(matches!(run.validate(), Err(RunFault::Argument { .. })), "{name:?}={value:?}");
        }
        let mut twice = run();
        twice.env = vec![("A".to_owned(), "1".to_owned()), ("A".to_owned(), "2".to_owned())];
        assert!(matches!(twice.validate(), Err(RunFault::Argument { why: "it is there twice", .. })));
        let mut nul = run();
        nul.args = vec!["a\0b".to_owned()];
        assert!(matches!(nul.validate(), Err(RunFault::Argument { .. })));
    }

    #[test]
    fn mounts_must_be_apart() {
        let bad = ["", "/", "inputs", "/a//b", "/a/../b", "/a/.", "/a/", "/nul\0", "/outputs", "/outputs/in"];
        for path in bad {
            let mut run = run();
            run.inputs = vec![input(path)];
            assert!(matches!(run.validate(), Err(RunFault::Mount { .. })), "{path:?}");
        }
        let mut twice = run();
        twice.inputs = vec![input("/a"), input("/a")];
        assert!(twice.validate().is_err());
        let mut apart = run();
        apart.inputs = vec![input("/outputs2"), input("/tmpfiles")];
        assert_eq!(apart.validate(), Ok(()));
        assert!(apart.has_scratch());
        apart.inputs.push(input("/tmp/in"));
        assert_eq!(apart.validate(), Ok(()));
        assert!(!apart.has_scratch());
    }

    #[test]
    fn output_names_must_fit_the_result() {
        for name in ["", ".", "..", "a/b", "stdout", "stderr", "exitCode"] {
            let mut run = run();
            run.outputs = vec![Output { name: name.to_owned(), guest_path: "/o".to_owned() }];
            assert!(matches!(run.validate(), Err(RunFault::Mount { .. })), "{name:?}");
        }
        let mut run = run();
        run.outputs =
            vec![Output::default(), Output { name: "more".to_owned(), guest_path: "/outputs/more".to_owned() }];
        assert!(run.validate().is_err());
    }
}
