//! How a program ended, in words.

use lota_api::{Decision, JobDetail, JobSummary};
use lota_node::executor::exit;

use crate::{
    terminal::brief,
    units::{ByteSize, Count, Seconds, Written as _},
};

/// The longest account of a provider that is shown, in characters.
const MAX_ACCOUNT: usize = 600;
/// A container's fuel is processor time: so many units are a second.
const NANOSECONDS: u64 = 1_000_000_000;
/// What a provider says of a program that chose its exit code itself.
const EXITED: &str = "exited";
/// What it says of one that left something that no result has.
const LEFT_OUT: &str = "exited; left out of its output, which has files and directories only:";

/// How a job's program ended, in a word or two; none: there is no result yet.
pub(super) fn word(job: &JobSummary) -> Option<String> {
    let code = job.exit_code?;
    let name = match code {
        0 => return Some("ok".to_owned()),
        exit::WALL_TIME => "out of time",
        exit::NOT_RUNNABLE => "cannot run",
        exit::TRAP => "trapped",
        exit::OUT_OF_MEMORY => "out of memory",
        exit::OUT_OF_FUEL => "out of fuel",
        exit::OUTPUT_FULL => "wrote too much",
        _ => return Some(format!("exit {code}")),
    };
    // The number, too: a program may exit with it by itself.
    Some(format!("{name} ({code})"))
}

/// How a job's program ended, if it did not end well, and what to do about it; none: it did, or there is no result.
pub(crate) fn failure(job: &JobDetail) -> Option<String> {
    let result = job.result.as_ref()?;
    let limits = Limits::of(job);
    let account = job
        .decisions
        .iter()
        .find(|decision| decision.provider == result.provider)
        .and_then(|Decision { ended, .. }| ended.as_deref());
    // What a limit of fuel or time ends has used all its fuel; and the provider may say so.
    let all_used = limits.fuel.is_none_or(|fuel| result.fuel_used >= fuel);
    let detail = |of: &str| {
        let detail = account.and_then(|account| account.strip_prefix(of))?;
        Some(format!(": {}", brief(detail.trim(), MAX_ACCOUNT)))
    };
    let within = |limit: Option<String>| limit.map_or_else(String::new, |limit| format!(" ({limit})"));
    Some(match result.exit_code {
        0 => return detail(LEFT_OUT).map(|what| format!("not all of its output is in the result{what}")),
        code if account == Some(EXITED) => exited(code),
        code if account.is_some_and(|account| account.starts_with(LEFT_OUT)) => {
            format!(
                "{}, and not all of its output is in the result{}",
                exited(code),
                detail(LEFT_OUT).unwrap_or_default()
            )
        }
        exit::OUT_OF_FUEL if all_used && is_container(job) => {
            let limit = limits.fuel.map(|fuel| Seconds(fuel / NANOSECONDS).to_string());
            format!("the program used all its processor time{}; raise it with --cpu-time", within(limit))
        }
        exit::OUT_OF_FUEL if all_used => {
            format!("the program used all its fuel{}; raise it with --fuel", within(limits.fuel.map(fuel)))
        }
        // A container that waits uses no processor time: there the provider's word is all there is.
        exit::WALL_TIME if all_used || (is_container(job) && account.is_some()) => {
            let limit = limits.wall.map(|seconds| Seconds(seconds).to_string());
            format!("the program ran longer than its wall time{}; raise it with --wall-time", within(limit))
        }
        exit::OUT_OF_MEMORY => {
            let limit = limits.memory.map(|bytes| ByteSize(bytes).to_string());
            format!("the program needed more memory than its limit{}; raise it with --memory", within(limit))
        }
        exit::OUTPUT_FULL => {
            let detail = detail("wrote more than its limit:").unwrap_or_else(|| {
                let both = limits.output.zip(limits.entries);
                within(both.map(|(bytes, count)| format!("{}, {} files", ByteSize(bytes), Count(count))))
            });
            format!("the program wrote more than its limits allow{detail}; raise them with --output-size or --entries")
        }
        exit::TRAP => format!("the program trapped{}", detail("trapped:").unwrap_or_default()),
        exit::NOT_RUNNABLE => format!("the program cannot be run{}", detail("cannot be run:").unwrap_or_default()),
        code => exited(code),
    })
}

fn exited(code: u32) -> String {
    format!("the program exited with code {code}")
}

/// Whether it ran, or is to run, in a container.
pub(super) fn is_container(job: &JobDetail) -> bool {
    let engine = job.spec.as_ref().and_then(|spec| spec.get("engine")?.get("type")?.as_str());
    engine == Some("docker")
}

/// `50 G`, as `--fuel` takes it.
fn fuel(units: u64) -> String {
    let text = Count(units).written();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    if digits.len() == text.len() { Count(units).to_string() } else { text.replace(digits, &format!("{digits} ")) }
}

/// The limits in a job's spec, if the daemon has it.
#[derive(Default)]
struct Limits {
    fuel: Option<u64>,
    memory: Option<u64>,
    output: Option<u64>,
    entries: Option<u64>,
    wall: Option<u64>,
}

impl Limits {
    fn of(job: &JobDetail) -> Self {
        let limit = |name: &str| job.spec.as_ref()?.get("limits")?.get(name)?.as_u64();
        Self {
            fuel: limit("fuel"),
            memory: limit("memory"),
            output: limit("output"),
            entries: limit("entries"),
            wall: limit("wall"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A job whose provider says this of its program, with this exit code and this much fuel used.
    fn job(code: u32, fuel_used: u64, account: Option<&str>) -> JobDetail {
        let mut job: JobDetail = serde_json::from_str(include_str!("../../../tests/fixtures/job.json")).expect("a job");
        let result = job.result.as_mut().expect("a result");
        (result.exit_code, result.fuel_used) = (code, fuel_used);
        job.summary.exit_code = Some(code);
        let provider = result.provider;
        let decision = job.decisions.iter_mut().find(|decision| decision.provider == provider).expect("its decision");
        decision.ended = account.map(str::to_owned);
        job.spec = Some(json!({ "limits": {
            "fuel": 50_000_000_000_u64, "memory": 256 << 20, "output": 64 << 20, "entries": 10_000, "wall": 300
        }}));
        job
    }

    const ALL: u64 = 50_000_000_000;

    #[test]
    fn each_end_says_which_limit_it_met_and_what_raises_it() {
        for (code, used, account, told) in [
            (152, ALL, None, "the program used all its fuel (50 G); raise it with --fuel"),
            (152, ALL, Some("used all its fuel"), "the program used all its fuel (50 G); raise it with --fuel"),
            (124, ALL, None, "the program ran longer than its wall time (5m); raise it with --wall-time"),
            (137, 7, None, "the program needed more memory than its limit (256 MiB); raise it with --memory"),
            (
                153,
                7,
                Some("wrote more than its limit: more than 10000 files and directories"),
                "the program wrote more than its limits allow: more than 10000 files and directories; raise them with --output-size or --entries",
            ),
            (
                153,
                7,
                None,
                "the program wrote more than its limits allow (64 MiB, 10,000 files); raise them with --output-size or --entries",
            ),
            (134, 7, Some("trapped: unreachable in main\x1b[2J"), "the program trapped: unreachable in main\\u{1b}[2J"),
            (134, 7, None, "the program trapped"),
            (126, 7, Some("cannot be run: it is empty"), "the program cannot be run: it is empty"),
            (7, 7, None, "the program exited with code 7"),
        ] {
            assert_eq!(failure(&job(code, used, account)).as_deref(), Some(told));
        }
        assert_eq!(failure(&job(0, 7, Some("exited"))), None);
        let left_out =
            Some("exited; left out of its output, which has files and directories only: a (a symbolic link)");
        let told = "not all of its output is in the result: a (a symbolic link)";
        assert_eq!(failure(&job(0, 7, left_out)).as_deref(), Some(told));
        assert_eq!(failure(&job(3, 7, left_out)), Some(format!("the program exited with code 3, and {told}")));
        let mut container = job(152, ALL, Some("used all its fuel"));
        container.spec.as_mut().expect("a spec")["engine"] = json!({ "type": "docker" });
        assert_eq!(
            failure(&container).as_deref(),
            Some("the program used all its processor time (50s); raise it with --cpu-time")
        );
        let mut waiting = job(124, 7, Some("ran longer than its wall-time limit"));
        assert_eq!(failure(&waiting).as_deref(), Some("the program exited with code 124"), "fuel is left");
        waiting.spec = container.spec;
        let told = "the program ran longer than its wall time (5m); raise it with --wall-time";
        assert_eq!(failure(&waiting).as_deref(), Some(told));
    }

    #[test]
    fn a_program_may_exit_with_the_codes_of_other_ends() {
        for code in [124, 126, 134, 137, 152, 153] {
            let told = format!("the program exited with code {code}");
            assert_eq!(failure(&job(code, 7, Some("exited"))), Some(told.clone()));
            if matches!(code, 124 | 152) {
                assert_eq!(failure(&job(code, 7, None)), Some(told), "fuel is left");
            }
        }
    }

    #[test]
    fn without_the_spec_no_limit_is_named() {
        let mut job = job(152, ALL, None);
        job.spec = None;
        assert_eq!(failure(&job).as_deref(), Some("the program used all its fuel; raise it with --fuel"));
        job.result = None;
        assert_eq!(failure(&job), None);
    }

    #[test]
    fn fuel_is_told_as_it_is_asked_for() {
        for (units, text) in [(ALL, "50 G"), (100_000_000, "100 M"), (2_500_000, "2,500,000"), (7, "7")] {
            assert_eq!(fuel(units), text);
        }
    }

    #[test]
    fn a_list_has_a_word_for_each_end() {
        let word = |code| word(&job(code, 7, None).summary).expect("a result");
        let words: Vec<_> = [0, 7, 124, 126, 134, 137, 152, 153].map(word).to_vec();
        let told = [
            "ok",
            "exit 7",
            "out of time (124)",
            "cannot run (126)",
            "trapped (134)",
            "out of memory (137)",
            "out of fuel (152)",
            "wrote too much (153)",
        ];
        assert_eq!(words, told);
    }
}
