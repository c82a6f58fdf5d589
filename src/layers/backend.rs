//! The innermost service: carries out what was admitted.

use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::Either;
use tower::Service;

use super::{Admitted, Authorized};
use crate::backend::local::LocalBackend;
use crate::error::Error;
use crate::kms::{Answer, Exception};

/// Answers from the backend.
#[derive(Debug, Clone)]
pub struct BackendService(pub Arc<LocalBackend>);

impl Service<Admitted> for BackendService {
    type Response = Answer;
    type Error = Error;
    type Future = Either<Ready<Result<Answer, Error>>, Pin<Box<dyn Future<Output = Result<Answer, Error>> + Send>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, admitted: Admitted) -> Self::Future {
        let Authorized { context, input, keys, held, .. } = admitted.authorized;
        if !input.operation().mutating() {
            return Either::Left(ready(self.0.answer(&input, &keys, &context.snapshot.region).map_err(Error::from)));
        }
        // The change goes on when its client has gone, and its record is written when it is done.
        let draft = context.draft.clone();
        draft.irrevocable();
        let note = Box::new(move |outcome: Result<&Answer, &Exception>| {
            match outcome {
                Ok(answer) => super::audit::note(&draft, Ok(answer)),
                Err(exception) => super::audit::note(&draft, Err(&exception.clone().into())),
            }
            drop(held);
        });
        let answer = self.0.change(input, keys, context.snapshot.region.clone(), note);
        Either::Right(Box::pin(async move { answer.await.map_err(Error::from) }))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tower::ServiceBuilder;

    use super::super::testing::{ALIAS, World, unlimited};
    use super::super::{AuthenticateLayer, Authorize, Parse, RateLimitLayer, Resolve, StepLayer};
    use super::*;

    /// All layers behind [`Received`](super::super::Received), with the backend.
    async fn answered(world: &World, operation: &str, body: &Value) -> Result<Value, Error> {
        let service = ServiceBuilder::new()
            .layer(AuthenticateLayer { read_timeout: std::time::Duration::from_secs(10) })
            .layer(StepLayer(Parse))
            .layer(StepLayer(Resolve(world.backend())))
            .layer(StepLayer(Authorize))
            .layer(RateLimitLayer(unlimited()))
            .service(BackendService(world.backend()));
        let answer = world.recorded(world.request(operation, body), service).await?;
        Ok(serde_json::from_slice(&answer.body).unwrap_or(Value::Null))
    }

    #[tokio::test]
    async fn what_changes_nothing_is_answered_at_once() {
        let world = World::new();
        let key = world.key();
        let answer = answered(&world, "DescribeKey", &json!({"KeyId": ALIAS})).await.unwrap();
        assert_eq!(answer["KeyMetadata"]["Arn"], key.as_str());
        assert!(world.record().get("errorCode").is_none());
    }

    #[tokio::test]
    async fn a_data_key_is_recorded_with_its_key_material_and_without_itself() {
        let world = World::new();
        let key = world.key();
        let answer = answered(&world, "GenerateDataKey", &json!({"KeyId": ALIAS, "KeySpec": "AES_256"})).await.unwrap();
        let record = world.record();
        assert_eq!(record["additionalEventData"]["keyMaterialId"], answer["KeyMaterialId"]);
        assert_eq!(record["resources"].as_array().unwrap().len(), 1);
        assert_eq!(record["resources"][0]["ARN"], key.as_str());
        assert!(!record.to_string().contains(answer["Plaintext"].as_str().unwrap()));
        assert!(!record.to_string().contains(answer["CiphertextBlob"].as_str().unwrap()));
    }

    #[tokio::test]
    async fn a_key_that_was_made_is_recorded_once_with_what_was_made() {
        let world = World::new();
        let answer = answered(&world, "CreateKey", &json!({"Description": "orders"})).await.unwrap();
        let record = world.record();
        let arn = &answer["KeyMetadata"]["Arn"];
        assert_eq!(record["resources"].as_array().unwrap().len(), 1, "{record:#}");
        assert_eq!(&record["resources"][0]["ARN"], arn);
        assert_eq!(&record["responseElements"]["keyMetadata"]["arn"], arn);
        assert_eq!(record["readOnly"], false);
    }

    #[tokio::test]
    async fn a_change_goes_on_when_its_client_has_gone_and_is_recorded_with_its_outcome() {
        let world = World::new();
        let key = world.key();
        let body = json!({"KeyId": key.id().as_str()});
        let admitted = world.admitted(world.request("DisableKey", &body));
        let future = BackendService(world.backend()).call(admitted);
        drop(future);
        let record = world.record();
        assert_eq!(record["eventName"], "DisableKey");
        assert!(record.get("errorCode").is_none(), "{record:#}");
        let resolved = world.resolved(world.request("DescribeKey", &json!({"KeyId": ALIAS})));
        assert_eq!(resolved.keys.main.as_ref().unwrap().key.state.name(), "Disabled");
    }

    #[tokio::test]
    async fn a_change_that_is_refused_after_its_client_has_gone_is_recorded_as_refused() {
        let world = World::new();
        let key = world.key();
        // Both were resolved when there was no such alias.
        let body = json!({"AliasName": "alias/new", "TargetKeyId": key.id().as_str()});
        let (one, two) = (world.request("CreateAlias", &body), world.request("CreateAlias", &body));
        let (one, two) = (world.admitted(one), world.admitted(two));
        let mut service = BackendService(world.backend());
        service.call(one).await.unwrap();
        drop(service.call(two));
        drop(service);
        for _ in 0..5_000 {
            if world.records().len() == 2 {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let codes: Vec<_> = world.records().iter().map(|record| record["errorCode"].clone()).collect();
        assert_eq!(codes, [Value::Null, json!("AlreadyExistsException")]);
    }
}
