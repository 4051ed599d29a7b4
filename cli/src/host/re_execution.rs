//! The engine that runs settled jobs again for a notary: the nodes' own.

use std::sync::Arc;

use async_trait::async_trait;
use lota_node::executor::{EngineRun, Executor, Input, Limits, ModuleSource, Output, Run, RunId, WasmRun as NodeRun};
use lota_notary::elsewhere::re_execution::{Engine, Ran, WasmRun};

use super::Engines;

/// An executor of WASM jobs.
pub(crate) struct RunAgain(Arc<dyn Executor>);

impl RunAgain {
    /// One that runs so many jobs at once, and shares compiled modules with the nodes of this process.
    pub(crate) fn new(engines: &Engines, jobs: u32) -> Option<Self> {
        engines.executors(jobs).get(NodeRun::ENGINE).map(|executor| Self(Arc::clone(executor)))
    }
}

#[async_trait]
impl Engine for RunAgain {
    async fn run(&self, run: WasmRun) -> Result<Ran, String> {
        let id = RunId(run.job.0.0);
        let _ended = EndOnDrop { executor: Arc::clone(&self.0), id };
        let outcome = self.0.run(as_node_run(run)).await.map_err(|error| error.to_string())?;
        Ok(Ran {
            exit_code: outcome.exit_code,
            fuel_used: outcome.fuel_used,
            ended: outcome.ended.to_string(),
            is_reproducible: outcome.ended.is_reproducible(),
            result_dir: outcome.result_dir,
        })
    }
}

/// The run that a provider makes of such a job (`local_steps` of the node).
fn as_node_run(run: WasmRun) -> Run {
    let engine = EngineRun::Wasm(NodeRun {
        module: ModuleSource::Bytes(run.module.0),
        entry_point: run.entry_point,
        seed: run.job.0.0,
        stop_at_fuel: None,
    });
    let limits = Limits {
        fuel: run.limits.fuel,
        memory_bytes: run.limits.memory,
        output_bytes: run.limits.output,
        output_entries: run.limits.entries,
        wall: run.limits.wall,
    };
    let inputs = run.inputs.into_iter().map(|(guest_path, host_path)| Input { guest_path, host_path }).collect();
    Run {
        args: run.args,
        env: run.env,
        inputs,
        outputs: vec![Output { guest_path: run.outputs, ..Output::default() }],
        opened_at: run.opened_at,
        ..Run::new(RunId(run.job.0.0), engine, limits, run.work_dir)
    }
}

/// Ends what nobody waits for any more.
struct EndOnDrop {
    executor: Arc<dyn Executor>,
    id: RunId,
}

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        let (executor, id) = (Arc::clone(&self.executor), self.id);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { executor.abort(id).await });
        }
    }
}
