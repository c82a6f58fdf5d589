//! Asks the policies: every (action, resource) pair of the operation must be allowed.

use std::sync::Arc;

use super::{Resolved, Step};
use crate::aws::{Operation, Resource};
use crate::credentials::AccessKey;
use crate::error::Error;
use crate::kms::{Exception, Input};
use crate::policy::{self, Decision};
use crate::stage::RequestContext;

/// A request that the policies allow.
#[derive(Debug)]
pub struct Authorized {
    pub(super) context: RequestContext,
    pub(super) access_key: Arc<AccessKey>,
    pub(super) input: Input,
    pub(super) keys: crate::backend::Keys,
    _made_here: (),
}

/// The step that makes [`Authorized`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Authorize;
