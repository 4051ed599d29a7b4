//! How a job's container is made: what it may, what it has, and what it runs.

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, DeviceRequest, HealthConfig, HostConfig, HostConfigLogConfig, ImageConfig, Mount,
    MountBindOptions, MountBindOptionsPropagationEnum, MountType, MountVolumeOptions, MountVolumeOptionsDriverConfig,
    ResourcesUlimits,
};

use super::engine::{Engine, JOB, MARKER, NODE, text};
use super::image::Image;
use super::{DockerRun, DockerSettings};
use crate::executor::{ExecutorError, Run, RunFault, SCRATCH};

/// Where the keeper is in the container.
const KEEPER: &str = "/.lota-keeper";
/// Where programs are looked for if neither the job nor the image says.
const USUAL_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The most bytes of a program's arguments and variables together, and of one of them: less than Linux takes, so that no image keeps
/// the keeper from starting.
const STRINGS: usize = 1 << 20;
const LONGEST_STRING: usize = 120 << 10;
/// What each of them takes beside its bytes.
const STRING: usize = 9;
/// The most folders in which it is looked for.
const MAX_PATHS: usize = 64;
/// Files take whole pages of a file system in memory.
const PAGE: u64 = 4_096;
/// The least memory, in bytes, that engines give to a container.
const LEAST_MEMORY: u64 = 6 << 20;
/// What the engine keeps of a container's output, for a node that comes back: at least, and at most, in bytes.
const LOG: (u64, u64) = (1 << 20, 1 << 30);

/// What a container runs: the program's arguments, and the paths at which it may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Command {
    pub(super) paths: Vec<String>,
    pub(super) argv: Vec<String>,
}

impl Command {
    /// As engines choose it: the job's entry point or the image's, then the job's arguments; the image's own ones only if the job
    /// names neither.
    pub(super) fn of(run: &Run, docker: &DockerRun, image: &ImageConfig) -> Result<Self, RunFault> {
        let own = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
        let mut argv = if docker.entrypoint.is_empty() { own(&image.entrypoint) } else { docker.entrypoint.clone() };
        if run.args.is_empty() && docker.entrypoint.is_empty() {
            argv.extend(own(&image.cmd));
        } else {
            argv.extend(run.args.iter().cloned());
        }
        let Some(program) = argv.first().filter(|program| !program.is_empty()) else {
            let why =
                "it names no program, and neither does the job; name one as the first argument or as `entrypoint`";
            return Err(RunFault::Image { image: docker.image.to_string(), why: why.to_owned() });
        };
        let paths = if program.contains('/') {
            vec![program.clone()]
        } else {
            let named = run.env.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.as_str());
            let own = || image.env.iter().flatten().find_map(|pair| pair.strip_prefix("PATH="));
            let search = named.or_else(own).unwrap_or(USUAL_PATH);
            let folders = search.split(':').filter(|folder| !folder.is_empty());
            folders.take(MAX_PATHS).map(|folder| format!("{folder}/{program}")).collect()
        };
        let variables = image.env.iter().flatten().map(String::len);
        let variables = variables.chain(run.env.iter().map(|(name, value)| name.len() + 1 + value.len()));
        let lengths: Vec<usize> = paths.iter().chain(&argv).map(String::len).chain(variables).collect();
        let total = lengths.iter().fold(0, |sum: usize, length| sum.saturating_add(length + STRING));
        if total > STRINGS || lengths.iter().any(|length| *length > LONGEST_STRING) {
            let why = format!(
                "its variables and arguments have {total} bytes together with the job's; a program can be given {STRINGS}, of which \
                 one may have {LONGEST_STRING}"
            );
            return Err(RunFault::Image { image: docker.image.to_string(), why });
        }
        Ok(Self { paths, argv })
    }

    /// The keeper's arguments.
    fn kept(self, marker: &str) -> Vec<String> {
        [marker.to_owned(), self.paths.len().to_string()].into_iter().chain(self.paths).chain(self.argv).collect()
    }
}

/// Everything that a job could be told before it runs.
pub(super) fn check(run: &Run, docker: &DockerRun) -> Result<(), RunFault> {
    run.validate()?;
    let mount = |path: &str, why: &str| RunFault::Mount { path: path.to_owned(), why: why.to_owned() };
    for input in &run.inputs {
        if let Some(outer) = run.inputs.iter().find(|outer| within(&input.guest_path, &outer.guest_path)) {
            return Err(mount(
                &input.guest_path,
                &format!("it lies in the input {}, which is read-only", outer.guest_path),
            ));
        }
    }
    let taken =
        run.outputs.iter().map(|output| &output.guest_path).chain(run.inputs.iter().map(|input| &input.guest_path));
    for path in taken {
        if ["/proc", "/sys", "/dev", KEEPER].iter().any(|kept| path == kept || within(path, kept)) {
            return Err(mount(path, "the system has that directory for itself"));
        }
        if path.contains([',', ':']) {
            return Err(mount(path, "it holds `,` or `:`, which engines take for something else"));
        }
    }
    if run.limits.memory_bytes < LEAST_MEMORY {
        let why = format!(
            "a container needs {LEAST_MEMORY} bytes of memory, and the job's limit is {}",
            run.limits.memory_bytes
        );
        return Err(RunFault::Image { image: docker.image.to_string(), why });
    }
    Ok(())
}

fn within(path: &str, outer: &str) -> bool {
    path.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'))
}

/// The container of a run.
pub(super) fn describe(
    engine: &Engine,
    settings: &DockerSettings,
    run: &Run,
    docker: &DockerRun,
    image: &Image,
    marker: &str,
) -> Result<ContainerCreateBody, ContainerFault> {
    let command = Command::of(run, docker, &image.config)?;
    let labels = HashMap::from([
        (NODE.to_owned(), engine.node.clone()),
        (JOB.to_owned(), hex::encode(run.job.0)),
        (MARKER.to_owned(), marker.to_owned()),
    ]);
    Ok(ContainerCreateBody {
        image: Some(image.id.clone()),
        user: Some(settings.user.clone()),
        entrypoint: Some(vec![KEEPER.to_owned()]),
        cmd: Some(command.kept(marker)),
        env: Some(run.env.iter().map(|(name, value)| format!("{name}={value}")).collect()),
        working_dir: docker.workdir.clone(),
        hostname: Some("job".to_owned()),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        healthcheck: Some(HealthConfig { test: Some(vec!["NONE".to_owned()]), ..HealthConfig::default() }),
        labels: Some(labels),
        host_config: Some(host_config(engine, settings, run, docker, image)?),
        ..ContainerCreateBody::default()
    })
}

fn host_config(
    engine: &Engine,
    settings: &DockerSettings,
    run: &Run,
    docker: &DockerRun,
    image: &Image,
) -> Result<HostConfig, ExecutorError> {
    let limits = &run.limits;
    let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let log = limits.output_bytes.saturating_mul(2).clamp(LOG.0, LOG.1).to_string();
    let gpus = DeviceRequest {
        count: Some(docker.gpus.into()),
        capabilities: Some(vec![vec!["gpu".to_owned()]]),
        ..DeviceRequest::default()
    };
    Ok(HostConfig {
        memory: Some(signed(limits.memory_bytes)),
        // Nothing of it on a disk.
        memory_swap: Some(signed(limits.memory_bytes)),
        nano_cpus: Some(signed(docker.cpu_millis.saturating_mul(1_000_000))),
        // And the keeper.
        pids_limit: Some(signed(docker.pids.saturating_add(1))),
        ulimits: Some(vec![ResourcesUlimits { name: Some("core".to_owned()), soft: Some(0), hard: Some(0) }]),
        device_requests: (docker.gpus > 0).then(|| vec![gpus]),
        network_mode: Some("none".to_owned()),
        readonly_rootfs: Some(true),
        cap_drop: Some(vec!["ALL".to_owned()]),
        security_opt: Some(vec!["no-new-privileges".to_owned()]),
        privileged: Some(false),
        runtime: settings.runtime.clone(),
        ipc_mode: Some("private".to_owned()),
        mounts: Some(mounts(engine, settings, run, image)?),
        tmpfs: run.has_scratch().then(|| {
            let options =
                format!("rw,exec,nosuid,nodev,mode=1777,{}", quota(limits.output_bytes, limits.output_entries));
            HashMap::from([(SCRATCH.to_owned(), options)])
        }),
        log_config: Some(HostConfigLogConfig {
            typ: Some("json-file".to_owned()),
            config: Some(HashMap::from([("max-size".to_owned(), log), ("max-file".to_owned(), "2".to_owned())])),
        }),
        ..HostConfig::default()
    })
}

/// Room in a file system in memory: what the limits allow, and a page more for each file. One entry is for its root, and one more
/// tells that the limit was exceeded.
fn quota(bytes: u64, entries: u64) -> String {
    let bytes = bytes.saturating_add(entries.min(bytes).saturating_mul(PAGE)).div_ceil(PAGE).saturating_add(1);
    // More than this no machine has, and the kernel takes larger numbers for none.
    let bytes = bytes.saturating_mul(PAGE).min(1 << 50);
    format!("size={bytes},nr_inodes={}", entries.saturating_add(2).min(1 << 40))
}

fn mounts(engine: &Engine, settings: &DockerSettings, run: &Run, image: &Image) -> Result<Vec<Mount>, ExecutorError> {
    let bind = |source: String, target: &str| Mount {
        typ: Some(MountType::BIND),
        source: Some(source),
        target: Some(target.to_owned()),
        read_only: Some(true),
        bind_options: Some(MountBindOptions {
            propagation: Some(MountBindOptionsPropagationEnum::RPRIVATE),
            ..MountBindOptions::default()
        }),
        ..Mount::default()
    };
    let mut mounts = vec![bind(text(&settings.keeper())?, KEEPER)];
    let owner = settings.user.split(':').next().unwrap_or_default();
    let quota = quota(run.limits.output_bytes, run.limits.output_entries);
    let in_memory = |target: &str| {
        let options = [
            ("type".to_owned(), "tmpfs".to_owned()),
            ("device".to_owned(), "tmpfs".to_owned()),
            ("o".to_owned(), format!("{quota},uid={owner},mode=777,nosuid,nodev")),
        ];
        let driver =
            MountVolumeOptionsDriverConfig { name: Some("local".to_owned()), options: Some(HashMap::from(options)) };
        Mount {
            typ: Some(MountType::VOLUME),
            target: Some(target.to_owned()),
            volume_options: Some(MountVolumeOptions {
                // It begins empty: what the image has there is no output, and of the rest nothing is copied into memory.
                no_copy: Some(true),
                labels: Some(HashMap::from([(NODE.to_owned(), engine.node.clone())])),
                driver_config: Some(driver),
                ..MountVolumeOptions::default()
            }),
            ..Mount::default()
        }
    };
    mounts.extend(run.outputs.iter().map(|output| in_memory(&output.guest_path)));
    for input in &run.inputs {
        let host = std::path::absolute(&input.host_path).unwrap_or_else(|_| input.host_path.clone());
        mounts.push(bind(text(&host)?, &input.guest_path));
    }
    // Else the engine puts them on its disk, without any limit.
    let taken: Vec<String> = mounts.iter().filter_map(|mount| mount.target.clone()).collect();
    let own = image.config.volumes.iter().flatten().map(|path| path.trim_end_matches('/'));
    let own = own.filter(|path| path.starts_with('/') && *path != SCRATCH && !taken.iter().any(|taken| taken == path));
    mounts.extend(own.map(in_memory));
    Ok(mounts)
}

/// Why there is no container for a run.
#[derive(Debug, thiserror::Error)]
pub(super) enum ContainerFault {
    #[error(transparent)]
    Fault(#[from] RunFault),
    #[error(transparent)]
    Executor(#[from] ExecutorError),
}
