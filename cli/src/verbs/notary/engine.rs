//! Running a job again, with the engine that nodes have.

use async_trait::async_trait;
use lota_node::executor::{
    EngineRun, Executor as _, Input, Limits, ModuleSource, Output, Run, RunId, WasmRun, wasm::WasmExecutor,
};
use lota_notary::elsewhere::re_execution::{self, Engine, Ran};

/// The WASM engine of this machine.
pub(super) struct Wasm(pub(super) WasmExecutor);

#[async_trait]
impl Engine for Wasm {
    async fn run(&self, run: re_execution::WasmRun) -> Result<Ran, String> {
        let id = RunId(run.job.0.0);
        let engine = EngineRun::Wasm(WasmRun {
            module: ModuleSource::Bytes(run.module.0),
            entry_point: run.entry_point,
            seed: id.0,
            stop_at_fuel: None,
        });
        let re_execution::RunLimits { fuel, memory, output, entries, wall } = run.limits;
        let limits = Limits { fuel, memory_bytes: memory, output_bytes: output, output_entries: entries, wall };
        let inputs = run.inputs.into_iter().map(|(guest_path, host_path)| Input { guest_path, host_path }).collect();
        let outcome = self
            .0
            .run(Run {
                args: run.args,
                env: run.env,
                inputs,
                outputs: vec![Output { guest_path: run.outputs, ..Output::default() }],
                opened_at: run.opened_at,
                ..Run::new(id, engine, limits, run.work_dir)
            })
            .await
            .map_err(|error| error.to_string())?;
        Ok(Ran {
            exit_code: outcome.exit_code,
            fuel_used: outcome.fuel_used,
            ended: outcome.ended.to_string(),
            is_reproducible: outcome.ended.is_reproducible(),
            result_dir: outcome.result_dir,
        })
    }
}
