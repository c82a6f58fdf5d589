//! Gives each request its id. Outermost, so that whatever follows can be found by it.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::{Either, Ready, err};
use tower::{Layer, Service};

use crate::random::Exhausted;
use crate::stage::{Arrival, Peer, RequestId};

/// A request with an id.
pub struct Identified<B> {
    pub(super) id: RequestId,
    pub(super) peer: Arc<Peer>,
    pub(super) request: http::Request<B>,
    _made_here: (),
}

/// Without the head, which holds the signature.
impl<B> fmt::Debug for Identified<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identified").field("id", &self.id).field("peer", &self.peer).finish_non_exhaustive()
    }
}

/// Makes [`Identified`].
#[derive(Debug, Clone, Copy, Default)]
pub struct RequestIdLayer;

impl<S> Layer<S> for RequestIdLayer {
    type Service = RequestIds<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RequestIds { inner }
    }
}

/// The service of [`RequestIdLayer`].
#[derive(Debug, Clone)]
pub struct RequestIds<S> {
    inner: S,
}

impl<B, S> Service<Arrival<B>> for RequestIds<S>
where
    S: Service<Identified<B>, Error = Exhausted>,
{
    type Response = S::Response;
    /// Without random bytes there is no id and nothing to sign or seal with: the connection ends.
    type Error = Exhausted;
    type Future = Either<Ready<Result<S::Response, Exhausted>>, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Exhausted>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, Arrival { peer, request }: Arrival<B>) -> Self::Future {
        match RequestId::random() {
            Ok(id) => Either::Right(self.inner.call(Identified { id, peer, request, _made_here: () })),
            Err(exhausted) => Either::Left(err(exhausted)),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Request;
    use tower::service_fn;

    use super::super::testing::World;
    use super::*;

    #[tokio::test]
    async fn each_request_has_an_id_of_its_own_in_the_form_of_a_uuid() {
        let world = World::new();
        let mut service =
            RequestIdLayer.layer(service_fn(|identified: Identified<()>| async move { Ok(identified.id) }));
        let one = service.call(world.arrival(Request::new(()))).await.unwrap();
        let two = service.call(world.arrival(Request::new(()))).await.unwrap();
        assert_ne!(one, two);
        let groups: Vec<usize> = one.as_str().split('-').map(str::len).collect();
        assert_eq!(groups, [8, 4, 4, 4, 12], "{one:?}");
    }
}
