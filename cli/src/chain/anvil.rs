//! Anvil, Foundry's development chain, as a process of ours.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, bail};
use lota_bridge::evm::Network;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};
use tokio_util::sync::CancellationToken;

/// Anvil's name among programs.
const PROGRAM: &str = "anvil";
/// How long it may take to say where it listens, and to write its state at the end.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often its state is written while it runs, in seconds. At the end it is written in any case.
const STATE_INTERVAL: &str = "30";
/// Of how many blocks the whole state is kept in memory, so that old balances can be asked for; older ones are dropped
/// instead of being written to the disk.
const KEPT_STATES: &str = "1000";
/// What the development account has to give away, in FIL.
const MONEY: &str = "1000000000";

/// Runs a program until it ends or our end of the pipe is closed, however we ended.
const KEEPER: &str = r#""$@" </dev/null 2>&1 & child=$!; exec >/dev/null 2>&1; cat; kill -TERM $child; wait $child"#;

/// A running Anvil. It mines a block for each transaction at once. It ends with this process, even when that is killed.
#[derive(Debug)]
pub(crate) struct Anvil {
    keeper: Child,
    leash: ChildStdin,
    address: String,
    ended: CancellationToken,
}

impl Anvil {
    /// Starts it, at `port` of this machine (0: any that is free). With a file for its state it goes on where it was, and
    /// keeps its state there.
    ///
    /// # Errors
    /// When there is no Anvil, or it does not start.
    pub(crate) async fn start(state: Option<&Path>, port: u16) -> anyhow::Result<Self> {
        let program = tokio::task::spawn_blocking(find).await??;
        let chain_id = Network::DEVELOPMENT.chain_id.to_string();
        let mut command = Command::new("sh");
        command.args(["-c", KEEPER, "keeper"]).arg(&program);
        let port = port.to_string();
        command.args(["--host", "127.0.0.1", "--port", &port, "--chain-id", &chain_id, "--hardfork", "cancun"]);
        command.args(["--accounts", "1", "--balance", MONEY]);
        command.arg(format!("--prune-history={KEPT_STATES}"));
        if let Some(state) = state {
            command.arg("--state").arg(state).args(["--state-interval", STATE_INTERVAL]);
        }
        // Ctrl-C is for us: Anvil ends after the nodes.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
        let context = || format!("cannot start {}", program.display());
        let mut keeper = command.spawn().with_context(context)?;
        let (Some(leash), Some(output)) = (keeper.stdin.take(), keeper.stdout.take()) else {
            bail!("cannot start {}: its pipes are missing", program.display());
        };
        let mut lines = BufReader::new(output).lines();
        let address = match tokio::time::timeout(PATIENCE, listening(&mut lines)).await {
            Ok(Ok(address)) => address,
            Ok(Err(last)) => bail!("{} ended at once: {last}", program.display()),
            Err(_) => bail!("{} does not say where it listens after {} s", program.display(), PATIENCE.as_secs()),
        };
        let ended = CancellationToken::new();
        let end = ended.clone();
        tokio::spawn(async move {
            while let Ok(Some(_)) = lines.next_line().await {}
            end.cancel();
        });
        Ok(Self { keeper, leash, address, ended })
    }

    /// Its URL for tools.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its URL for those who want to be told of new blocks.
    pub(crate) fn websocket_url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// Ready when it has ended, though nobody told it to.
    pub(crate) async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// Ends it; its state is written.
    ///
    /// # Errors
    /// When it does not end.
    pub(crate) async fn end(self) -> anyhow::Result<()> {
        let Self { mut keeper, leash, .. } = self;
        drop(leash);
        match tokio::time::timeout(PATIENCE, keeper.wait()).await {
            Ok(_) => Ok(()),
            Err(_) => bail!("Anvil has not ended after {} s", PATIENCE.as_secs()),
        }
    }
}

/// Reads on until it says where it listens; otherwise what it says is wrong, or the last thing that it said.
async fn listening(lines: &mut Lines<BufReader<ChildStdout>>) -> Result<String, String> {
    let mut last = "it said nothing".to_owned();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(address) = line.strip_prefix("Listening on ") {
            return Ok(address.trim().to_owned());
        }
        if let Some(wrong) = line.trim().strip_prefix("error: ").or_else(|| line.trim().strip_prefix("Error: ")) {
            return Err(wrong.to_owned());
        }
        if !line.trim().is_empty() {
            line.trim().clone_into(&mut last);
        }
    }
    Err(last)
}

/// Where Anvil is: among the tools that `contracts/scripts/install` installed, on the `PATH`, or to be installed by that
/// script when the current folder is in a checkout of Lota.
fn find() -> anyhow::Result<PathBuf> {
    let tools = std::env::var_os("LOTA_TOOLS").map(|tools| PathBuf::from(tools).join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = tools.into_iter().chain(std::env::split_paths(&path)).map(|folder| folder.join(PROGRAM));
    if let Some(program) = found.into_iter().find(|program| program.is_file()) {
        return Ok(program);
    }
    let current = std::env::current_dir().context("the current folder is gone")?;
    if let Some(script) =
        current.ancestors().map(|folder| folder.join("contracts/scripts/install")).find(|s| s.is_file())
    {
        return install(&script);
    }
    bail!(
        "there is no anvil on the PATH; install Foundry (https://getfoundry.sh), or run this in a checkout of Lota, whose contracts/scripts/install gets it"
    )
}

fn install(script: &Path) -> anyhow::Result<PathBuf> {
    let output =
        std::process::Command::new(script).output().with_context(|| format!("cannot run {}", script.display()))?;
    let (told, folder) = (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    let program = Path::new(folder.trim()).join(PROGRAM);
    if !output.status.success() || !program.is_file() {
        bail!("there is no anvil on the PATH, and {} cannot install it: {}", script.display(), told.trim());
    }
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_keeper_ends_its_program_when_the_leash_is_let_go() {
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "keeper", "sh", "-c", "echo here; exec sleep 1000"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("starts");
        let mut lines = BufReader::new(keeper.stdout.take().expect("piped")).lines();
        assert_eq!(lines.next_line().await.expect("text").as_deref(), Some("here"));
        drop(keeper.stdin.take());
        // Its output ends only when the program is gone.
        assert_eq!(lines.next_line().await.expect("text"), None);
        keeper.wait().await.expect("ends");
    }
}
