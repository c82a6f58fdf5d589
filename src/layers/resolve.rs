//! Finds the keys that a request is about, once: policy, backend and audit use the same [`Keys`] to the end.

use std::sync::Arc;

use super::{Parsed, Step};
use crate::aws::{AliasArn, Member, Resource};
use crate::backend::local::{Keys, LocalBackend};
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
        let keys = self.0.resolve(&input, &access_key.principal.arn)?;
        if input.operation().permissions().iter().any(|permission| permission.resource == Resource::Alias) {
            let name = input.string(Member::AliasName).unwrap_or_default();
            let snapshot = &context.snapshot;
            context.draft.resource(AliasArn::new(&snapshot.region, snapshot.account, name).as_str());
        }
        for found in keys.iter() {
            context.draft.resource(found.key.arn.as_str());
        }
        Ok(Resolved { context, access_key, input, keys, _made_here: () })
    }
}
