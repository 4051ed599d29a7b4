//! `lota docker run`.

use std::{io::Read as _, path::Path};

use anyhow::Context as _;
use clap::Args;
use lota_content::Cid;
use lota_market::spec::{DEFAULT_CPU, DEFAULT_PIDS, Engine, Image, JobSpec, Link};

use super::cpus::Cpus;
use crate::{
    context::Context,
    failure::Usage,
    settings,
    units::{Count, Seconds},
    verbs::wasm::{
        job::{Asked, Called, Given, Program, Wanted},
        limits::{UsualLimits, limits},
        source::{NoSource, Source},
    },
};

/// What nobody should believe without knowing it.
const NOTE: &str = "A container's output is not reproducible, so nobody can verify it by running the job again: name a provider that you \
                    trust (--provider), compare the outputs of several runs, or have it judged by somebody who knows.";

/// Run a container image on the market, as if it were a program on this machine: waits, prints its stdout and stderr, and ends
/// with its exit code. The price, the provider and the output's CID go to stderr.
///
/// It has no network, no rights and a read-only root; it may write into /outputs and /tmp. What it writes there is in memory, and
/// counts as memory. Its output is not reproducible: docs/docker.md says what that means.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lota docker run alpine@sha256:... -- echo hello
  docker save tool:1 -o tool.tar && lota docker run tool.tar -i texts -- --top 10
  lota docker run bafybei... -i cat.png:/cat.png -e WIDTH=64 --output-dir out
  lota docker run trainer@sha256:... --gpus 1 --cpus 4 --memory 16GiB --wall-time 1h

Exit codes: the job's own; 124 it exceeded its wall time, 126 the image cannot be run,
137 out of memory, 152 out of processor time, 153 it wrote too much;
1 the job did not come to a result; 130 interrupted (the job goes on).")]
pub(crate) struct Run {
    /// The image: NAME@sha256:..., an archive of it (`docker save`, or an OCI layout in a tar file), or the archive's CID
    image: String,
    #[command(flatten)]
    given: Given,
    /// The program to run instead of the image's own; give its first arguments with this flag, too
    #[arg(long, value_name = "WORD")]
    entrypoint: Vec<String>,
    /// The folder in which the program begins, as it sees it [default: the image's]
    #[arg(long, short, value_name = "GUEST_PATH")]
    workdir: Option<String>,
    #[command(flatten)]
    wanted: Wanted,
    #[command(flatten)]
    limits: UsualLimits,
    /// How many processors the program may use at a time [default: 1]
    #[arg(long, value_name = "COUNT", help_heading = "Limits")]
    cpus: Option<Cpus>,
    /// The most processor time of all its processes together [default: --cpus times --wall-time]
    #[arg(long, value_name = "TIME", help_heading = "Limits")]
    cpu_time: Option<Seconds>,
    /// The most processes and threads at a time [default: 256]
    #[arg(long, value_name = "COUNT", help_heading = "Limits")]
    pids: Option<Count>,
    /// How many graphics processors it has for itself [default: 0]
    #[arg(long, value_name = "COUNT", help_heading = "Limits")]
    gpus: Option<Count>,
    #[command(flatten)]
    called: Called,
}

impl Run {
    /// Whether stderr is for what the job writes there.
    pub(crate) const fn is_quiet(&self) -> bool {
        self.wanted.is_quiet()
    }

    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let layers = self.limits.over(self.called.terms.over(context));
        let program = Container { image: find(&self.image)?, flags: self };
        Asked { program, given: &self.given, wanted: &self.wanted, called: &self.called, layers }.run(context).await
    }
}

/// An image as it was named.
enum Found {
    Named(Image),
    Archive(Source),
}

struct Container<'a> {
    image: Found,
    flags: &'a Run,
}

impl Program for Container<'_> {
    fn source(&self) -> Option<&Source> {
        match &self.image {
            Found::Named(_) => None,
            Found::Archive(source) => Some(source),
        }
    }

    fn spec(&self, cid: Option<Cid>, job: &settings::Job) -> anyhow::Result<JobSpec> {
        let image = match &self.image {
            Found::Named(image) => image.clone(),
            Found::Archive(_) => Image::Archive(Link(cid.context("the archive has no CID")?)),
        };
        let Run { entrypoint, workdir, cpus, cpu_time, pids, gpus, .. } = self.flags;
        let mut limits = limits(job);
        limits.cpu = cpus.map_or(DEFAULT_CPU, |cpus| cpus.0);
        limits.pids = pids.map_or(DEFAULT_PIDS, |count| count.0);
        limits.gpus = gpus.map_or(0, |count| count.0);
        // Nanoseconds.
        limits.fuel = match cpu_time {
            Some(time) => time.0.saturating_mul(1_000_000_000),
            None => limits.wall.saturating_mul(limits.cpu).saturating_mul(1_000_000),
        };
        let mut spec = JobSpec::docker(image.clone(), limits);
        spec.engine = Engine::Docker { image, entrypoint: entrypoint.clone(), workdir: workdir.clone() };
        Ok(spec)
    }

    fn note(&self) -> Option<&'static str> {
        Some(NOTE)
    }
}

/// A name with a digest, a file, or a CID.
fn find(text: &str) -> Result<Found, Usage> {
    let parsed = text.parse::<Image>();
    if let Ok(image @ Image::Named(_)) = &parsed {
        return Ok(Found::Named(image.clone()));
    }
    match Source::find(text) {
        Ok(source) => {
            if let Source::Path(path) = &source {
                check_archive(path)?;
            }
            Ok(Found::Archive(source))
        }
        // A tag, most likely.
        Err(NoSource::Missing(_)) => match parsed {
            Err(error) => Err(Usage(format!("there is no file `{text}`, and as the name of an image {error}"))),
            Ok(image) => Ok(Found::Named(image)),
        },
        Err(error) => Err(Usage(error.to_string())),
    }
}

/// Refuses what is no archive of an image before it costs anything.
fn check_archive(path: &Path) -> Result<(), Usage> {
    let shown = path.display();
    if path.is_dir() {
        return Err(Usage(format!(
            "{shown} is a folder; pack the OCI layout with `tar -C {shown} -cf image.tar .`, and give that file"
        )));
    }
    let mut start = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(512).read_to_end(&mut start));
    read.map_err(|error| Usage(format!("cannot read the image's archive {shown}: {error}")))?;
    if start.starts_with(&[0x1f, 0x8b]) {
        return Err(Usage(format!("{shown} is compressed; unpack it with `gunzip`, and give the tar file")));
    }
    if start.get(257..262) != Some(b"ustar") {
        return Err(Usage(format!(
            "{shown} is no tar file, and so no archive of an image; `docker save IMAGE -o FILE` makes one"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_alone_is_refused_with_the_way_to_the_digest() {
        let error = find("no-such-image:1").err().expect("a tag").to_string();
        assert!(error.contains("there is no file `no-such-image:1`"), "{error}");
        assert!(error.contains("docker inspect -f '{{index .RepoDigests 0}}' NAME"), "{error}");
        let digest = "0".repeat(64);
        assert!(matches!(find(&format!("tool@sha256:{digest}")), Ok(Found::Named(_))));
        let error = find("tool@sha256:12").err().expect("no digest").to_string();
        assert!(error.contains("64 hexadecimal digits"), "{error}");
    }

    #[test]
    fn what_is_no_archive_is_refused_before_it_is_sent() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("image.tar");
        for (bytes, part) in [(&b"\x1f\x8b\x08"[..], "is compressed"), (b"hello", "no tar file"), (b"", "no tar file")]
        {
            std::fs::write(&path, bytes).expect("written");
            let error = find(path.to_str().expect("UTF-8")).err().expect(part).to_string();
            assert!(error.contains(part), "{error}");
        }
        let error = find(folder.path().to_str().expect("UTF-8")).err().expect("a folder").to_string();
        assert!(error.contains("tar -C"), "{error}");
    }
}
