//! The layers' world in front of a KMS elsewhere.

use super::*;
use crate::backend::aws::testing::{Forwarding, TestKms};

impl World {
    /// A backend that forwards to `kms`.
    pub(in crate::layers) async fn forwarding(&self, kms: &TestKms) -> Forwarding {
        Forwarding::to(kms, &Clock::Manual(self.clock.clone())).await
    }

    /// What all layers behind [`Received`] answer, with a backend that forwards.
    pub(in crate::layers) async fn forwarded(
        &self,
        forwarding: &Forwarding,
        operation: &str,
        body: &Value,
    ) -> Result<Answer, Error> {
        self.forwarded_within(forwarding, unlimited(), self.request(operation, body)).await
    }

    pub(in crate::layers) async fn forwarded_within(
        &self,
        forwarding: &AwsBackend,
        limits: Arc<ArcSwap<Limits>>,
        request: Request<Full<Bytes>>,
    ) -> Result<Answer, Error> {
        let backend = Backend::Aws(forwarding.clone());
        let service = BackendService::new(backend.clone(), Arc::clone(&limits));
        self.answered(request, backend, limits, service).await
    }

    /// A request that is refused, and its record.
    pub(in crate::layers) async fn refused(
        &self,
        forwarding: &Forwarding,
        operation: &str,
        body: &Value,
    ) -> (Exception, Value) {
        let error = self.forwarded(forwarding, operation, body).await.unwrap_err();
        (error.exception().into_owned(), self.last_record())
    }

    pub(in crate::layers) fn last_record(&self) -> Value {
        self.records().pop().unwrap()
    }

    /// A request that [`ORDERS`](super::ORDERS) may make, as it stands before the backend.
    pub(in crate::layers) async fn admitted_by(
        &self,
        forwarding: &AwsBackend,
        operation: &str,
        body: &Value,
    ) -> Admitted {
        let backend = Backend::Aws(forwarding.clone());
        let parsed =
            through(&StepLayer(Parse(Constraints::Upstream)), self.authenticated(self.request(operation, body)));
        let resolve = ResolveLayer { backend, limits: unlimited() };
        let caught = Catch::default();
        let mut service = ServiceBuilder::new()
            .layer(resolve)
            .layer(StepLayer(Authorize))
            .layer(RateLimitLayer(unlimited()))
            .service(caught.clone());
        let answer = service.call(parsed.unwrap());
        tokio::pin!(answer);
        // What catches it never answers: it is there once that is reached.
        std::future::poll_fn(|cx| match (answer.as_mut().poll(cx), caught.take()) {
            (_, Some(admitted)) => Poll::Ready(admitted),
            (Poll::Ready(answer), None) => panic!("it does not come so far: {answer:?}"),
            (Poll::Pending, None) => Poll::Pending,
        })
        .await
    }
}

/// The ARNs that a record names.
pub(in crate::layers) fn resources(record: &Value) -> Vec<&str> {
    record["resources"].as_array().unwrap().iter().map(|resource| resource["ARN"].as_str().unwrap()).collect()
}

/// What a record tells the operator alone.
pub(in crate::layers) fn detail(record: &Value) -> &str {
    record["additionalEventData"]["gateway"]["detail"].as_str().unwrap_or_default()
}
