//! The members of the operations on grants.
//!
//! The service's model lets the name of a principal be left out where that of a service is sent. Here that can only be
//! forwarded.

use aws_sdk_kms::types::GrantOperation;

use super::super::pattern;
use super::{DRY_RUN, Field, GRANT_TOKENS, KEY, KEY_ID, LIMIT, MARKER, Need, Shape, patterned, text};
use crate::aws::Member;

/// AWS's quota of pairs and of their lengths is the operation's to keep.
const CONSTRAINTS: Field = Field::optional(
    Member::Constraints,
    Shape::Structure(&[
        Field::optional(Member::EncryptionContextSubset, Shape::Context),
        Field::optional(Member::EncryptionContextEquals, Shape::Context),
        Field::optional(Member::SourceArn, patterned(20, 512, &pattern::SOURCE_ARN)),
    ]),
);
const PRINCIPAL: Shape = patterned(1, 256, &pattern::PRINCIPAL);
const RETIRING_PRINCIPAL: Field = Field::optional(Member::RetiringPrincipal, PRINCIPAL);
const SERVICE_PRINCIPAL: Shape = patterned(1, 128, &pattern::SERVICE_PRINCIPAL);
const GRANTEE_SERVICE_PRINCIPAL: Field = Field::optional(Member::GranteeServicePrincipal, SERVICE_PRINCIPAL);
const RETIRING_SERVICE_PRINCIPAL: Field = Field::optional(Member::RetiringServicePrincipal, SERVICE_PRINCIPAL);
const GRANT_ID: Field = Field::optional(Member::GrantId, text(1, 128));

pub(super) static CREATE_GRANT: &[Field] = &[
    KEY_ID,
    Field::required(Member::GranteePrincipal, PRINCIPAL),
    RETIRING_PRINCIPAL,
    Field::required(
        Member::Operations,
        Shape::Texts { least: 0, most: usize::MAX, element: &Shape::Choice(GrantOperation::values()) },
    ),
    CONSTRAINTS,
    GRANT_TOKENS,
    Field::optional(Member::Name, patterned(1, 256, &pattern::ALIAS)),
    DRY_RUN,
    GRANTEE_SERVICE_PRINCIPAL,
    RETIRING_SERVICE_PRINCIPAL,
];

pub(super) static LIST_GRANTS: &[Field] =
    &[LIMIT, MARKER, KEY_ID, GRANT_ID, Field::optional(Member::GranteePrincipal, PRINCIPAL), GRANTEE_SERVICE_PRINCIPAL];

pub(super) static LIST_RETIRABLE_GRANTS: &[Field] =
    &[LIMIT, MARKER, RETIRING_PRINCIPAL.needed(Need::Required), RETIRING_SERVICE_PRINCIPAL];

pub(super) static RETIRE_GRANT: &[Field] =
    &[Field::optional(Member::GrantToken, text(1, 8192)), Field::optional(Member::KeyId, KEY), GRANT_ID, DRY_RUN];

pub(super) static REVOKE_GRANT: &[Field] = &[KEY_ID, GRANT_ID.needed(Need::Required), DRY_RUN];
