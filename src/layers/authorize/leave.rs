//! The proofs that a request may be carried out: that it is allowed, or that its refusal is only reported.
//!
//! Architecture invariant: both are made here alone, of a decision, and cannot be copied; the backend takes one with
//! every request.

use super::Question;
use crate::aws::{GrantId, Operation};
use crate::policy::{Allowed, Decision, Kind};

/// Why a request may be carried out.
#[derive(Debug)]
pub(in crate::layers) enum Leave {
    /// Policies or grants allow it.
    Permit(Permit),
    /// They do not, and its principal is one whose refusals are only reported.
    DangerReportOnly(DangerReportOnly),
}

/// Proof that every permission is there.
#[derive(Debug)]
pub(in crate::layers) struct Permit {
    grant: Option<GrantId>,
}

/// Proof that nothing denies explicitly, for a principal that may be let through where nothing allows.
#[derive(Debug)]
pub(in crate::layers) struct DangerReportOnly(());

/// What is only reported: use of keys, which a roll-out of policies must not break, and nothing that changes anything.
const REPORTED: [Operation; 8] = [
    Operation::GenerateDataKeyWithoutPlaintext,
    Operation::GenerateDataKey,
    Operation::GenerateDataKeyPair,
    Operation::GenerateDataKeyPairWithoutPlaintext,
    Operation::Encrypt,
    Operation::Decrypt,
    Operation::ReEncrypt,
    Operation::DescribeKey,
];

impl Leave {
    /// Of a request from which nothing has been asked yet.
    pub(super) const fn begin() -> Self {
        Self::Permit(Permit { grant: None })
    }

    /// That one permission is there.
    pub(super) fn allowed(allowed: &Allowed) -> Self {
        Self::Permit(Permit { grant: allowed.grant })
    }

    /// That the lack of a permission is only reported: for the principals of the account itself that the credentials
    /// file says so of, until the day it says, for the use of keys. What is denied explicitly, or by the guardrail, stays
    /// denied.
    pub(super) fn report_only(question: &Question<'_>, decision: &Decision, foreign: bool) -> Option<Self> {
        let missing = matches!(decision, Decision::ImplicitDeny(kind) if *kind != Kind::Guardrail);
        let until = question.asked.access_key.principal.danger_report_only_until.filter(|_| missing && !foreign)?;
        let now = question.asked.context.received_at < until;
        (now && REPORTED.contains(&question.asked.input.operation()))
            .then_some(Self::DangerReportOnly(DangerReportOnly(())))
    }

    /// Takes in the leave for one permission more.
    pub(super) fn and(&mut self, other: Self) {
        match (&mut *self, other) {
            (Self::Permit(all), Self::Permit(one)) => all.grant = all.grant.or(one.grant),
            (Self::DangerReportOnly(_), _) => {}
            (_, only_reported) => *self = only_reported,
        }
    }

    /// The grant without which it would not be allowed, if there is one.
    pub(in crate::layers) const fn grant(&self) -> Option<GrantId> {
        match self {
            Self::Permit(permit) => permit.grant,
            Self::DangerReportOnly(_) => None,
        }
    }
}
