//! The innermost service: carries out what was admitted.

use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arc_swap::ArcSwap;
use futures_util::future::Either;
use tower::Service;

use super::authorize::keeps_control;
use super::forward::forward;
use super::off_worker::{Busy, OffWorker};
use super::{Admitted, Authorized};
use crate::audit::Draft;
use crate::backend::Backend;
use crate::backend::local::{LocalBackend, Requester};
use crate::error::Error;
use crate::kms::{Answer, Exception, ResponseElements};
use crate::limits::Limits;

/// Answers from the backend.
#[derive(Debug, Clone)]
pub struct BackendService {
    backend: Backend,
    limits: Arc<ArcSwap<Limits>>,
    off_worker: OffWorker,
}

/// Answered at once, or waited for.
type Answering = Either<Ready<Result<Answer, Error>>, Pin<Box<dyn Future<Output = Result<Answer, Error>> + Send>>>;

/// What the record calls the bound of [`OffWorker`].
const LIMITER: &str = "slow_work";

impl BackendService {
    /// Answers from `backend`, whose look-ups are charged to `limits`. All clones share the threads on which slow answers
    /// are worked out.
    #[must_use]
    pub fn new(backend: Backend, limits: Arc<ArcSwap<Limits>>) -> Self {
        Self { backend, limits, off_worker: OffWorker::new() }
    }

    fn locally(&self, backend: &Arc<LocalBackend>, authorized: Authorized) -> Answering {
        let slow = LocalBackend::is_slow(&authorized.input);
        match (authorized.input.operation().mutating(), slow) {
            (false, false) => {
                let Authorized { context, input, keys, .. } = authorized;
                let answer = backend.answer(&input, &keys, context.region());
                Either::Left(ready(answer.map_err(Error::from)))
            }
            (false, true) => Either::Right(Box::pin(self.slowly(backend, authorized))),
            (true, false) => Either::Right(Box::pin(change(backend, authorized))),
            (true, true) => Either::Right(Box::pin(self.change_slowly(backend, authorized))),
        }
    }

    /// Works out an answer that changes nothing and takes long. Who finds no place is throttled: KMS's own quota of key
    /// pairs is as low, and its clients know to come back.
    ///
    /// What has begun goes on when its client has gone, and is recorded with its outcome; what still waits is given up.
    fn slowly(
        &self,
        backend: &Arc<LocalBackend>,
        authorized: Authorized,
    ) -> impl Future<Output = Result<Answer, Error>> + Send + use<> {
        let Authorized { context, input, keys, held, .. } = authorized;
        let (backend, off_worker) = (Arc::clone(backend), self.off_worker.clone());
        let draft = context.draft.clone();
        let work = move || {
            let answer = backend.answer(&input, &keys, context.region()).map_err(Error::from);
            super::audit::note(&context.draft, answer.as_ref());
            drop(held);
            answer
        };
        async move { off_worker.run(work).await.unwrap_or_else(|Busy| Err(throttled(&draft))) }
    }

    /// Carries out a change that takes long before it is queued. Until it has begun it is given up with its client.
    fn change_slowly(
        &self,
        backend: &Arc<LocalBackend>,
        authorized: Authorized,
    ) -> impl Future<Output = Result<Answer, Error>> + Send + use<> {
        let (backend, off_worker) = (Arc::clone(backend), self.off_worker.clone());
        let draft = authorized.context.draft.clone();
        async move {
            match off_worker.run(move || change(&backend, authorized)).await {
                Ok(answer) => answer.await,
                Err(Busy) => Err(throttled(&draft)),
            }
        }
    }
}

impl Service<Admitted> for BackendService {
    type Response = Answer;
    type Error = Error;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, admitted: Admitted) -> Self::Future {
        match &self.backend {
            Backend::Local(local) => self.locally(local, admitted.authorized),
            Backend::Aws(aws) => {
                let limits = Arc::clone(&self.limits);
                Either::Right(forward(aws.clone(), limits, admitted))
            }
        }
    }
}

/// Carries out a change, which goes on when its client has gone. Its record is written when it is done.
fn change(
    backend: &LocalBackend,
    authorized: Authorized,
) -> impl Future<Output = Result<Answer, Error>> + Send + use<> {
    let Authorized { context, access_key, input, keys, held, leave, .. } = authorized;
    let draft = context.draft.clone();
    draft.irrevocable();
    let elements = ResponseElements::of(input.operation(), keys.main.as_ref().map(|found| found.key.arn()));
    let note = Box::new(move |outcome: Result<&Answer, &Exception>| {
        match outcome {
            Ok(answer) => {
                if let Some(elements) = elements.of_answer(&answer.body) {
                    draft.response_elements(elements);
                }
                super::audit::note(&draft, Ok(answer));
            }
            Err(exception) => super::audit::note(&draft, Err(&exception.clone().into())),
        }
        drop(held);
    });
    let region = context.region().clone();
    let requester = Requester {
        principal: Arc::clone(&access_key.principal),
        credentials: Arc::clone(&context.snapshot.credentials),
        accept_unknown_principals: context.snapshot.accept_unknown_principals,
        through: leave.grant(),
        keeps_control: keeps_control(context, access_key),
    };
    let answer = backend.change(input, keys, region, requester, note);
    async move { answer.await.map_err(Error::from) }
}

/// Who finds no place for slow work.
fn throttled(draft: &Draft) -> Error {
    draft.limiter(LIMITER);
    Error::Throttled(LIMITER)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use futures_util::FutureExt;
    use serde_json::{Value, json};

    use super::super::testing::{ALIAS, World, unlimited};
    use super::*;

    fn local(world: &World) -> BackendService {
        BackendService::new(Backend::Local(world.backend()), unlimited())
    }

    /// All layers behind [`Received`](super::super::Received), with the backend.
    async fn answered(world: &World, operation: &str, body: &Value) -> Result<Value, Error> {
        answered_by(local(world), world, operation, body).await
    }

    async fn answered_by(
        backend: BackendService,
        world: &World,
        operation: &str,
        body: &Value,
    ) -> Result<Value, Error> {
        let request = world.request(operation, body);
        let answer = world.answered(request, Backend::Local(world.backend()), unlimited(), backend).await?;
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
        let future = local(&world).call(admitted);
        drop(future);
        let record = world.record();
        assert_eq!(record["eventName"], "DisableKey");
        assert!(record.get("errorCode").is_none(), "{record:#}");
        let resolved = world.resolved(world.request("DescribeKey", &json!({"KeyId": ALIAS})));
        assert_eq!(resolved.keys.main.as_ref().unwrap().key.local().unwrap().state.name(), "Disabled");
    }

    #[tokio::test]
    async fn a_change_that_is_refused_after_its_client_has_gone_is_recorded_as_refused() {
        let world = World::new();
        let key = world.key();
        // Both were resolved when there was no such alias.
        let body = json!({"AliasName": "alias/new", "TargetKeyId": key.id().as_str()});
        let (one, two) = (world.request("CreateAlias", &body), world.request("CreateAlias", &body));
        let (one, two) = (world.admitted(one), world.admitted(two));
        let mut service = local(&world);
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

    const PAIR: &str = "GenerateDataKeyPair";

    fn pair(spec: &str) -> Value {
        json!({"KeyId": ALIAS, "KeyPairSpec": spec, "EncryptionContext": {"order": "7"}})
    }

    /// A backend whose slow work finds `places` places, and never a thread.
    fn stuck(world: &World, places: usize) -> BackendService {
        BackendService { off_worker: OffWorker::bounded(0, places), ..local(world) }
    }

    #[tokio::test]
    async fn a_key_pair_is_recorded_as_kms_does_and_without_its_private_key() {
        for (spec, operation) in
            [("RSA_2048", PAIR), ("ECC_NIST_P256", PAIR), ("RSA_2048", "GenerateDataKeyPairWithoutPlaintext")]
        {
            let world = World::new();
            let key = world.key();
            let answer = answered(&world, operation, &pair(spec)).await.unwrap();
            let record = world.record();
            assert_eq!(record["eventName"], operation);
            let parameters = json!({"keyId": ALIAS, "keyPairSpec": spec, "encryptionContext": {"order": "7"}});
            assert_eq!(record["requestParameters"], parameters);
            assert_eq!((&record["responseElements"], &record["readOnly"]), (&Value::Null, &json!(true)));
            assert_eq!(record["additionalEventData"]["keyMaterialId"], answer["KeyMaterialId"]);
            assert_eq!(record["resources"][0]["ARN"], key.as_str());
            for member in ["PrivateKeyPlaintext", "PrivateKeyCiphertextBlob"] {
                assert!(answer[member].as_str().is_none_or(|key| !record.to_string().contains(key)), "{member}");
            }
        }
    }

    #[tokio::test]
    async fn an_rsa_key_is_made_off_the_worker_and_a_key_of_a_curve_at_once() {
        let world = World::new();
        world.key();
        let mut service = local(&world);
        let mut answer = service.call(world.admitted(world.request(PAIR, &pair("RSA_2048"))));
        assert!((&mut answer).now_or_never().is_none(), "the worker has waited for it");
        assert!(answer.await.is_ok());
        // These need no other thread, and find none.
        let mut service = stuck(&world, 0);
        for body in [pair("ECC_NIST_P521"), pair("ECC_NIST_EDWARDS25519"), pair("ECC_SECG_P256K1")] {
            assert!(service.call(world.admitted(world.request(PAIR, &body))).now_or_never().unwrap().is_ok());
        }
    }

    #[tokio::test]
    async fn a_key_pair_whose_client_has_gone_is_recorded_with_its_outcome() {
        let world = World::new();
        world.key();
        let admitted = world.admitted(world.request(PAIR, &pair("RSA_2048")));
        let mut answer = local(&world).call(admitted);
        assert!((&mut answer).now_or_never().is_none());
        drop(answer);
        let record = world.record();
        assert!(record.get("errorCode").is_none(), "{record:#}");
        assert!(record["additionalEventData"]["keyMaterialId"].is_string(), "{record:#}");
    }

    #[tokio::test]
    async fn a_key_pair_that_waits_is_given_up_when_its_client_has_gone() {
        let world = World::new();
        world.key();
        let mut service = stuck(&world, 1);
        let mut answer = service.call(world.admitted(world.request(PAIR, &pair("RSA_2048"))));
        assert!((&mut answer).now_or_never().is_none());
        drop(answer);
        assert_eq!(world.record()["errorCode"], "ClientDisconnected");
        let mut answer = service.call(world.admitted(world.request(PAIR, &pair("RSA_2048"))));
        assert!((&mut answer).now_or_never().is_none(), "its place was not given back");
    }

    #[tokio::test]
    async fn who_asks_for_more_key_pairs_than_may_wait_is_throttled() {
        let world = World::new();
        world.key();
        let error = answered_by(stuck(&world, 0), &world, PAIR, &pair("RSA_2048")).await.unwrap_err();
        // Recorded from KMS.
        let text = "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.";
        assert_eq!(error.exception().message(), Some(text));
        let record = world.record();
        assert_eq!(record["errorCode"], "ThrottlingException");
        assert_eq!(record["additionalEventData"]["gateway"]["limiter"], "slow_work");
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_pair_that_waits_too_long_ends_at_the_deadline() {
        let world = World::new();
        world.key();
        let error = answered_by(stuck(&world, 1), &world, PAIR, &pair("RSA_2048")).await.unwrap_err();
        assert!(matches!(error, Error::DeadlinePassed), "{error}");
        assert_eq!(world.record()["errorCode"], "DependencyTimeoutException");
    }

    #[tokio::test]
    async fn a_key_pair_that_is_refused_is_recorded_as_refused() {
        let world = World::new();
        let key = world.key();
        let disable = world.admitted(world.request("DisableKey", &json!({"KeyId": key.id().as_str()})));
        local(&world).call(disable).await.unwrap();
        let error = answered(&world, PAIR, &pair("RSA_2048")).await.unwrap_err();
        assert_eq!(error.exception().kind().name(), "DisabledException");
        let records = world.records();
        assert_eq!(records.last().unwrap()["errorCode"], "DisabledException");
    }

    const IMPORT: &str = "ImportKeyMaterial";

    /// A key that waits for its material, and the request that brings it.
    async fn import(world: &World) -> (Value, Value) {
        let made = answered(world, "CreateKey", &json!({"Origin": "EXTERNAL"})).await.unwrap();
        let key = made["KeyMetadata"]["KeyId"].clone();
        let body = json!({"KeyId": key, "WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"});
        let parameters = answered(world, "GetParametersForImport", &body).await.unwrap();
        let public_key = PublicEncryptingKey::from_der(&STANDARD.decode(text(&parameters["PublicKey"])).unwrap());
        let public_key = OaepPublicEncryptingKey::new(public_key.unwrap()).unwrap();
        let mut wrapped = vec![0; public_key.ciphertext_size()];
        public_key.encrypt(&OAEP_SHA256_MGF1SHA256, &[7; 32], &mut wrapped, None).unwrap();
        let request = json!({"KeyId": key, "ImportToken": parameters["ImportToken"],
                             "EncryptedKeyMaterial": STANDARD.encode(wrapped),
                             "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"});
        (key, request)
    }

    fn text(value: &Value) -> &str {
        value.as_str().unwrap()
    }

    async fn state(world: &World, key: &Value) -> Value {
        answered(world, "DescribeKey", &json!({"KeyId": key})).await.unwrap()["KeyMetadata"]["KeyState"].clone()
    }

    #[tokio::test]
    async fn material_is_unwrapped_off_the_worker_and_what_it_is_and_its_token_are_not_recorded() {
        let world = World::new();
        let (key, request) = import(&world).await;
        let mut answer = local(&world).call(world.admitted(world.request(IMPORT, &request)));
        assert!((&mut answer).now_or_never().is_none(), "the worker has waited for it");
        assert!(answer.await.is_ok());
        assert_eq!(state(&world, &key).await, "Enabled");
        let records = world.records();
        let record = records.iter().find(|record| record["eventName"] == IMPORT).unwrap();
        assert_eq!(
            record["requestParameters"],
            json!({"keyId": key, "expirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"})
        );
        assert_eq!(record["responseElements"]["keyMaterialId"].as_str().unwrap().len(), 64);
    }

    #[tokio::test]
    async fn an_import_that_has_begun_goes_on_without_its_client_and_one_that_waits_does_not() {
        let world = World::new();
        let (key, request) = import(&world).await;
        let mut waits = stuck(&world, 1).call(world.admitted(world.request(IMPORT, &request)));
        assert!((&mut waits).now_or_never().is_none());
        drop(waits);
        assert_eq!(world.records().last().unwrap()["errorCode"], "ClientDisconnected");
        assert_eq!(state(&world, &key).await, "PendingImport");
        let before = world.records().len();
        let mut begun = local(&world).call(world.admitted(world.request(IMPORT, &request)));
        assert!((&mut begun).now_or_never().is_none());
        drop(begun);
        for _ in 0..5_000 {
            if world.records().len() > before {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let records = world.records();
        let record = records.last().unwrap();
        assert_eq!((&record["eventName"], record.get("errorCode")), (&json!(IMPORT), None));
        assert_eq!(state(&world, &key).await, "Enabled");
    }

    #[tokio::test]
    async fn an_import_that_finds_no_place_is_throttled_and_changes_nothing() {
        let world = World::new();
        let (key, request) = import(&world).await;
        let error = answered_by(stuck(&world, 0), &world, IMPORT, &request).await.unwrap_err();
        assert_eq!(error.exception().kind().name(), "ThrottlingException");
        assert_eq!(state(&world, &key).await, "PendingImport");
    }
}
