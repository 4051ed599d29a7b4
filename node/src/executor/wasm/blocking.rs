//! Work that blocks.

use crate::executor::ExecutorError;

/// Runs what blocks on a thread for such work.
pub(crate) async fn blocking<T: Send + 'static, E: From<ExecutorError> + Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(ExecutorError::Engine { message: format!("a thread failed: {error}") }.into()),
    }
}
