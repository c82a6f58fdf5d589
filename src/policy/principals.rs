//! `Principal` and `NotPrincipal`: whom a statement of a key policy is about.
//!
//! A principal has no wildcard but the lone `*`, and is compared with case. Sources: IAM user guide, "AWS JSON policy
//! elements: Principal" and its page about `NotPrincipal`.

use super::document::{Reader, all};
use super::fault::{Path, Refusal};
use super::json::Node;
use super::lint::comparable;
use crate::aws::{AccountId, Arn, MeantAs, PrincipalNames, canonical_principal};

/// The principals that a statement is about. Names are in the form of [`canonical_principal`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Principals {
    /// `"*"`, alone or beside these, by which a caller may be meant more directly.
    Everyone(Box<[Box<str>]>),
    /// `Principal`. Services of AWS's and other providers' users never call here, and are left out.
    Only(Box<[Box<str>]>),
    /// `NotPrincipal`: all but these.
    Except(Box<[Box<str>]>),
    /// `"NotPrincipal": "*"`
    Nobody,
}

impl Principals {
    /// Whether a statement that denies is about the caller. `NotPrincipal` spares a user whom it lists, and a session of a
    /// role only if it lists the session, its role and its account (IAM user guide, "`NotPrincipal` with Deny"). Listing
    /// an account spares its root user alone, and nobody is spared who has a permissions boundary (`bounded`).
    pub(super) fn deny(&self, caller: &PrincipalNames, bounded: bool) -> bool {
        let Self::Except(names) = self else { return self.allow(caller) };
        if bounded {
            return true;
        }
        let has = |wanted| caller.iter().any(|(_, meant)| meant == wanted);
        let session_of_role = has(MeantAs::Role) && has(MeantAs::Session);
        let needed = |meant: MeantAs| session_of_role || meant != MeantAs::Account;
        caller.iter().filter(|(_, meant)| needed(*meant)).any(|(_, meant)| {
            // A unique id is another spelling of the ARN beside it.
            !caller.iter().any(|(name, as_)| as_ == meant && lists(names, name))
        })
    }

    /// Whether a statement that allows is about the caller. `NotPrincipal` leaves out whoever has a name that is listed.
    pub(super) fn allow(&self, caller: &PrincipalNames) -> bool {
        let listed = |names: &[Box<str>]| caller.iter().any(|(name, _)| lists(names, name));
        match self {
            Self::Everyone(_) => true,
            Self::Only(names) => listed(names),
            Self::Except(names) => !listed(names),
            Self::Nobody => false,
        }
    }

    /// Whether all that these are about are certainly among `others`.
    pub(super) fn within(&self, others: &Self) -> bool {
        match (self, others) {
            (_, Self::Everyone(_)) => true,
            (Self::Only(these), Self::Only(others)) if comparable(these, others) => {
                these.iter().all(|name| lists(others, name))
            }
            _ => false,
        }
    }

    /// Those that `Principal` lists.
    pub(super) fn listed(&self) -> &[Box<str>] {
        if let Self::Only(names) | Self::Everyone(names) = self { names } else { &[] }
    }

    /// Those that `NotPrincipal` lists.
    pub(super) fn excepted(&self) -> &[Box<str>] {
        if let Self::Except(names) = self { names } else { &[] }
    }
}

fn lists(names: &[Box<str>], name: &str) -> bool {
    names.iter().any(|listed| **listed == *name)
}

impl Reader<'_> {
    pub(super) fn principals(&mut self, members: &[(String, Node)], path: &Path<'_>) -> Option<Principals> {
        let (node, name, except) = self.one_of(members, ["Principal", "NotPrincipal"], path)?;
        let path = path.member(name);
        let names = match node {
            Node::Text(text) if text == EVERYONE => Some(vec![EVERYONE.into()]),
            Node::Object(entries) if entries.is_empty() => {
                self.findings.refuse(&path, Refusal::new("no principal is named"))
            }
            Node::Object(entries) => {
                let lists = all(entries.iter().map(|(kind, node)| self.principals_of(kind, node, &path.member(kind))));
                lists.map(|lists| lists.concat())
            }
            other => {
                let refusal = Refusal::new(format!("{} stands where principals belong", other.kind()));
                let hint = r#"write `"*"`, or an object as `{"AWS": "arn:aws:iam::111122223333:role/orders"}`"#;
                self.findings.refuse(&path, refusal.hint(hint))
            }
        }?;
        let (stars, listed): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| **name == *EVERYONE);
        let listed = listed.into();
        Some(match (stars.is_empty(), except) {
            (false, false) => Principals::Everyone(listed),
            (false, true) => Principals::Nobody,
            (true, false) => Principals::Only(listed),
            (true, true) => Principals::Except(listed),
        })
    }

    /// The principals of one kind.
    fn principals_of(&mut self, kind: &str, node: &Node, path: &Path<'_>) -> Option<Vec<Box<str>>> {
        match kind {
            "AWS" => self.texts(node, path, |reader, text, path| reader.findings.take(path, principal(text))),
            "Service" | "Federated" | "CanonicalUser" => {
                self.texts(node, path, |_, _, _| Some(()))?;
                let warning = Refusal::new(format!("no request at a gateway comes from a principal of kind `{kind}`"));
                self.findings.warn(path, warning.hint("name users, roles, sessions or accounts under `AWS`"));
                Some(Vec::new())
            }
            other => {
                let kinds = ["AWS", "Service", "Federated", "CanonicalUser"];
                let refusal = Refusal::new(format!("`{other}` is no kind of principal")).did_you_mean(other, kinds);
                self.findings.refuse(path, refusal.hint_if_none("users, roles and accounts stand under `AWS`"))
            }
        }
    }
}

/// What stands for every principal.
const EVERYONE: &str = "*";

/// Reads one principal of the kind `AWS`.
fn principal(text: &str) -> Result<Box<str>, Refusal> {
    let refusal = |what: &str| Refusal::new(format!("`{text}` {what}"));
    if text == EVERYONE {
        return Ok(text.into());
    }
    if text.contains(['*', '?']) {
        let hint = "only the lone `*` is one; test `aws:PrincipalArn` with `ArnLike` in a condition";
        return Err(refusal("has a wildcard in a principal").hint(hint));
    }
    if text.parse::<AccountId>().is_ok() || is_unique_id(text) || PrincipalNames::of(text).is_some() {
        return Ok(canonical_principal(text).into());
    }
    let group = Arn::parse(text).is_ok_and(|arn| arn.service == "iam" && arn.resource.starts_with("group/"));
    let what = if group { "is a group, which is no principal" } else { "is no principal" };
    Err(refusal(what).hint("a principal is an account id or the ARN of a root, user, role or session"))
}

/// `AIDA...` of a user, `AROA...` of a role.
fn is_unique_id(text: &str) -> bool {
    let id = text.len() >= 16 && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    id && ["AIDA", "AROA"].iter().any(|prefix| text.starts_with(prefix))
}
