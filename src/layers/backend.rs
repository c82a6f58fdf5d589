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
        let Authorized { context, input, keys, .. } = admitted.authorized;
        if !input.operation().mutating() {
            return Either::Left(ready(self.0.answer(&input, &keys).map_err(Error::from)));
        }
        // The change goes on when its client has gone, and its record is written when it is done.
        let draft = context.draft.clone();
        let note = Box::new(move |outcome: Result<&Answer, &Exception>| match outcome {
            Ok(answer) => super::audit::note(&draft, Ok(answer)),
            Err(exception) => super::audit::note(&draft, Err(&exception.clone().into())),
        });
        let answer = self.0.change(input, keys, note);
        Either::Right(Box::pin(async move { answer.await.map_err(Error::from) }))
    }
}
