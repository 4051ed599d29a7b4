//! Answers that belong to another request are not believed.
//!
//! By websocket, alloy finds the request of an answer by its id. Over HTTP it takes whatever comes as the answer: one that a proxy, a
//! cache or a balancer mixed up would be believed, and often makes sense (one quantity in place of another).

use std::task::{Context, Poll};

use alloy::{
    rpc::json_rpc::{Id, RequestPacket, ResponsePacket},
    transports::{TransportError, TransportErrorKind, TransportFut},
};
use tower::{Layer, Service};

/// Puts [`Matching`] around a transport.
#[derive(Clone, Copy, Debug)]
pub(super) struct MatchIds;

impl<S> Layer<S> for MatchIds {
    type Service = Matching<S>;

    fn layer(&self, inner: S) -> Matching<S> {
        Matching(inner)
    }
}

/// A transport whose answers carry the ids of their requests. An error may carry none: JSON-RPC 2.0 answers so when the request
/// could not be read, and some balancers do when they refuse one.
#[derive(Clone, Debug)]
pub(super) struct Matching<S>(S);

impl<S> Service<RequestPacket> for Matching<S>
where
    S: Service<RequestPacket, Response = ResponsePacket, Error = TransportError, Future = TransportFut<'static>>,
{
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: RequestPacket) -> Self::Future {
        // Of a batch, alloy itself finds them.
        let asked = match &request {
            RequestPacket::Single(request) => Some(request.id().clone()),
            RequestPacket::Batch(_) => None,
        };
        let answer = self.0.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            if let (Some(asked), ResponsePacket::Single(told)) = (asked, &answer)
                && told.id != asked
                && !(told.id == Id::None && told.is_error())
            {
                let problem = format!("the answer to request {asked} is that to request {}", told.id);
                return Err(TransportErrorKind::custom_str(&problem));
            }
            Ok(answer)
        })
    }
}

#[cfg(test)]
mod tests {
    use alloy::rpc::client::RpcClient;
    use serde_json::{Value, json};

    use super::*;

    /// What a client makes of an answer to its first request, which has the id 0.
    async fn asked(answer: Value) -> Result<String, TransportError> {
        let answers = tower::service_fn(move |_: RequestPacket| -> TransportFut<'static> {
            let answer = answer.clone();
            let answer =
                serde_json::from_str(&answer.to_string()).map_err(|error| TransportError::deser_err(error, ""));
            Box::pin(async move { answer })
        });
        RpcClient::new(Matching(answers), true).request("eth_gasPrice", ()).await
    }

    #[tokio::test]
    async fn an_answer_to_another_request_is_no_answer() {
        let told = |id: Value| json!({ "jsonrpc": "2.0", "id": id, "result": "0x7" });
        assert_eq!(asked(told(json!(0))).await.expect("its own"), "0x7");
        for id in [json!(1), json!(u64::MAX), json!("0"), json!(null)] {
            let error = asked(told(id.clone())).await.expect_err("another's");
            assert!(
                error.is_transport_error() && error.to_string().contains("the answer to request 0 is that to"),
                "{id}: {error}"
            );
        }
    }

    #[tokio::test]
    async fn an_error_need_not_say_whose_it_is() {
        let told =
            |id: Value| json!({ "jsonrpc": "2.0", "id": id, "error": { "code": -32_005, "message": "too many" } });
        for id in [json!(0), json!(null)] {
            let error = asked(told(id)).await.expect_err("an error");
            assert_eq!(error.as_error_resp().expect("the node's").code, -32_005);
        }
        let error = asked(told(json!(1))).await.expect_err("another's error");
        assert!(error.is_transport_error(), "{error}");
    }
}
