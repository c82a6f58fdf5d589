//! Reads the body once. Policy, backend and audit all read this one parse.

use std::sync::Arc;

use super::{Authenticated, Step};
use crate::credentials::AccessKey;
use crate::error::Error;
use crate::kms::Input;
use crate::stage::RequestContext;

/// A request whose parameters are known and within their constraints.
#[derive(Debug)]
pub struct Parsed {
    pub(super) context: RequestContext,
    pub(super) access_key: Arc<AccessKey>,
    pub(super) input: Input,
    _made_here: (),
}

/// The step that makes [`Parsed`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Parse;

impl Step<Authenticated> for Parse {
    type Out = Parsed;

    fn step(&self, authenticated: Authenticated) -> Result<Parsed, Error> {
        let Authenticated { context, access_key, operation, body, .. } = authenticated;
        let input = Input::parse(operation, &body)?;
        let mut parameters = String::new();
        input.request_parameters(&mut parameters);
        context.draft.request_parameters(parameters);
        Ok(Parsed { context, access_key, input, _made_here: () })
    }
}
