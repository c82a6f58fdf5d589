//! Finds the keys that a request is about, once: policy, backend and audit use the same [`Keys`] to the end.

use std::sync::Arc;

use super::{Parsed, Step};
use crate::backend::{Keys, LocalBackend};
use crate::credentials::AccessKey;
use crate::error::Error;
use crate::kms::Input;
use crate::stage::RequestContext;

/// A request whose keys are known.
#[derive(Debug)]
pub struct Resolved {
    pub(super) context: RequestContext,
    pub(super) access_key: Arc<AccessKey>,
    pub(super) input: Input,
    pub(super) keys: Keys,
    _made_here: (),
}

/// The step that makes [`Resolved`].
#[derive(Debug, Clone)]
pub struct Resolve(pub Arc<LocalBackend>);

impl Step<Parsed> for Resolve {
    type Out = Resolved;

    fn step(&self, parsed: Parsed) -> Result<Resolved, Error> {
        let Parsed { context, access_key, input, .. } = parsed;
        let keys = self.0.resolve(&input, access_key.principal.arn.account())?;
        for key in keys.iter() {
            context.draft.resource(key);
        }
        Ok(Resolved { context, access_key, input, keys, _made_here: () })
    }
}
