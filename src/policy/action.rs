//! Actions: the permissions that a statement names, and the ones there are.
//!
//! Actions are compared without regard to case; the service before the colon has no wildcard. Source: service
//! authorization reference for KMS.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use super::fault::Refusal;
use super::wildcard::Pattern;
use crate::aws::Operation;
use crate::faults::edits;

/// Permissions of KMS that no operation of the API asks for by itself.
const WITHOUT_OPERATION: [&str; 1] = ["kms:SynchronizeMultiRegionKey"];

/// Every permission of KMS, sorted: those of the operation table, and the few others. A request's action is looked
/// up here once; documents are indexed by the place.
pub static ACTIONS: LazyLock<Box<[&'static str]>> = LazyLock::new(|| {
    let asked_for = Operation::ALL.iter().flat_map(|operation| operation.permissions());
    let all: BTreeSet<&str> = asked_for.map(|permission| permission.action).chain(WITHOUT_OPERATION).collect();
    all.into_iter().collect()
});

/// What all of [`ACTIONS`] begin with.
const SERVICE: &str = "kms";

/// The names of [`ACTIONS`] in lower case and without their service, as patterns have them, and their places; sorted.
static NAMES: LazyLock<Vec<(String, usize)>> = LazyLock::new(|| {
    let name = |action: &str| action.split_once(':').map(|(_, name)| name.to_ascii_lowercase());
    let mut names: Vec<_> = ACTIONS.iter().enumerate().filter_map(|(place, a)| Some((name(a)?, place))).collect();
    names.sort();
    names
});

/// The actions that are judged on an alias.
const ALIAS_ACTIONS: [&str; 3] = ["kms:CreateAlias", "kms:DeleteAlias", "kms:UpdateAlias"];

/// The place of `action` in [`ACTIONS`], if it stands there as it is written.
pub(super) fn number(action: &str) -> Option<usize> {
    ACTIONS.binary_search(&action).ok()
}

/// A set of known actions, by their places in [`ACTIONS`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ActionSet(u128);

impl ActionSet {
    pub(super) fn one(number: usize) -> Self {
        Self(1 << number)
    }

    fn all() -> Self {
        Self(ACTIONS.len().try_into().ok().and_then(|len| 1_u128.checked_shl(len)).unwrap_or(0).wrapping_sub(1))
    }

    /// Those whose name, in lower case and without the service, is `pattern`, which was `written` so.
    fn named(written: &str, pattern: &Pattern) -> Self {
        if !written.contains(['*', '?']) {
            let place = NAMES.binary_search_by(|(name, _)| (**name).cmp(written)).ok();
            return place.and_then(|at| NAMES.get(at)).map_or(Self::default(), |(_, number)| Self::one(*number));
        }
        if written == "*" {
            return Self::all();
        }
        let meant = NAMES.iter().filter(|(name, _)| pattern.matches(name));
        Self(meant.fold(0, |set, (_, number)| set | Self::one(*number).0))
    }

    pub(super) fn contains(self, number: usize) -> bool {
        self.0 >> number & 1 == 1
    }

    pub(super) fn with(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) fn len(self) -> u32 {
        self.0.count_ones()
    }

    pub(super) fn numbers(self) -> impl Iterator<Item = usize> {
        (0..ACTIONS.len()).filter(move |number| self.contains(*number))
    }

    /// Whether one of these is judged on an alias.
    pub(super) fn touches_aliases(self) -> bool {
        ALIAS_ACTIONS.iter().filter_map(|action| number(action)).any(|number| self.contains(number))
    }
}

/// One element of `Action` or `NotAction`.
#[derive(Clone, Debug)]
pub(super) enum ActionPattern {
    /// The lone `*`: every action of every service.
    Any,
    /// `service:Name`, both in lower case, and which of [`ACTIONS`] that is.
    Named { service: Box<str>, name: Pattern, known: ActionSet },
}

impl ActionPattern {
    /// Reads an element of `Action`.
    pub(super) fn parse(text: &str) -> Result<Self, Refusal> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let lower = text.to_ascii_lowercase();
        match lower.split_once(':') {
            Some((service, _)) if service.contains(['*', '?']) => {
                Err(Refusal::new(format!("`{text}` has a wildcard in its service"))
                    .hint("the service is written out, as `kms:*`; only the lone `*` stands for all services"))
            }
            Some((service, name)) if !service.is_empty() && !name.is_empty() => {
                let (written, name) = (name, Pattern::parse(name));
                let known = if service == SERVICE { ActionSet::named(written, &name) } else { ActionSet::default() };
                Ok(Self::Named { service: service.into(), name, known })
            }
            _ => Err(Refusal::new(format!("`{text}` is no action"))
                .did_you_mean(&format!("kms:{text}"), ACTIONS.iter().copied())
                .hint_if_none("an action has the form `service:Name`, as `kms:Decrypt`")),
        }
    }

    /// Whether `action` (in lower case) is meant.
    fn matches_lower(&self, action: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Named { service, name, .. } => {
                action.split_once(':').is_some_and(|(s, n)| s == &**service && name.matches(n))
            }
        }
    }

    fn known(&self) -> ActionSet {
        match self {
            Self::Any => ActionSet::all(),
            Self::Named { known, .. } => *known,
        }
    }

    /// What to tell an author whose `written` action no request will ever have.
    pub(super) fn misspelt(&self, written: &str) -> Option<Refusal> {
        let Self::Named { service, .. } = self else { return None };
        let suspicious = if &**service == SERVICE { self.known().is_empty() } else { edits(service, "kms") == 1 };
        suspicious.then(|| {
            Refusal::new(format!("`{written}` matches no action of KMS")).did_you_mean(written, ACTIONS.iter().copied())
        })
    }
}

/// The actions that a statement is about.
#[derive(Clone, Debug)]
pub(super) struct Actions {
    patterns: Box<[ActionPattern]>,
    /// `NotAction`: all but those.
    except: bool,
    known: ActionSet,
}

impl Actions {
    pub(super) fn new(patterns: Vec<ActionPattern>, except: bool) -> Self {
        let named = patterns.iter().fold(0, |set, pattern| set | pattern.known().0);
        let known = ActionSet(if except { ActionSet::all().0 & !named } else { named });
        Self { patterns: patterns.into(), except, known }
    }

    /// Which of [`ACTIONS`] are meant.
    pub(super) fn known(&self) -> ActionSet {
        self.known
    }

    /// Whether all that are meant are certainly among `others`.
    pub(super) fn within(&self, others: &Self) -> bool {
        let of_kms =
            |pattern: &ActionPattern| matches!(pattern, ActionPattern::Named { service, .. } if &**service == SERVICE);
        let every = !others.except && others.patterns.iter().any(|pattern| matches!(pattern, ActionPattern::Any));
        let named = !self.except && self.patterns.iter().all(of_kms) && !self.known.is_empty();
        every || named && self.known.0 & !others.known.0 == 0
    }

    /// Whether they are all of KMS's, or of every service's.
    pub(super) fn are_all(&self) -> bool {
        self.known == ActionSet::all()
    }

    /// Whether these are none at all, of whichever service.
    pub(super) fn are_none(&self) -> bool {
        self.except && self.patterns.iter().any(|pattern| matches!(pattern, ActionPattern::Any))
    }

    /// Whether each names another service than KMS.
    pub(super) fn are_foreign(&self) -> bool {
        let foreign =
            |pattern: &ActionPattern| matches!(pattern, ActionPattern::Named { service, .. } if &**service != SERVICE);
        !self.except && !self.patterns.is_empty() && self.patterns.iter().all(foreign)
    }

    /// Whether `action`, known or not, is meant.
    pub(super) fn contain(&self, action: &str) -> bool {
        let lower = action.to_ascii_lowercase();
        self.patterns.iter().any(|pattern| pattern.matches_lower(&lower)) != self.except
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(patterns: &[&str], except: bool, action: &str) -> bool {
        let patterns = patterns.iter().map(|text| ActionPattern::parse(text).unwrap()).collect();
        let actions = Actions::new(patterns, except);
        if let Some(number) = number(action) {
            assert_eq!(actions.known().contains(number), actions.contain(action), "{action}");
        }
        actions.contain(action)
    }

    #[test]
    fn the_table_is_sorted_and_fits_a_set() {
        assert!(ACTIONS.is_sorted());
        assert!(ACTIONS.len() < 128 && NAMES.len() == ACTIONS.len());
        assert!(ACTIONS.iter().all(|action| action.starts_with("kms:")));
        assert!(ACTIONS.contains(&"kms:ReEncryptFrom") && !ACTIONS.contains(&"kms:ReEncrypt"));
        assert_eq!(number("kms:decrypt"), None);
    }

    #[test]
    fn actions_match_without_regard_to_case() {
        for (pattern, action, expected) in [
            ("*", "kms:Decrypt", true),
            ("*", "s3:GetObject", true),
            ("kms:*", "kms:Decrypt", true),
            ("kms:*", "s3:GetObject", false),
            ("KMS:generatedatakeywithoutplaintext", "kms:GenerateDataKeyWithoutPlaintext", true),
            ("kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext", false),
            ("kms:GenerateDataKey*", "kms:GenerateDataKeyWithoutPlaintext", true),
            ("kms:GenerateDataKey*", "kms:GenerateDataKey", true),
            ("kms:*datakey*without*", "kms:GenerateDataKeyPairWithoutPlaintext", true),
            ("kms:?ecrypt", "kms:Decrypt", true),
            ("kms:Decrypt", "kms:decrypt", true),
            ("kms:Decrypt", "Decrypt", false),
        ] {
            assert_eq!(contains(&[pattern], false, action), expected, "{pattern} {action}");
            assert_eq!(contains(&[pattern], true, action), !expected, "not {pattern} {action}");
        }
        assert!(contains(&["s3:*", "kms:Sign"], false, "kms:Sign"));
        assert!(contains(&["kms:Decrypt"], true, "s3:GetObject"));
    }

    #[test]
    fn what_is_no_action_is_refused() {
        for text in ["", "Decrypt", "kms:", ":Decrypt", "k*:Decrypt", "*:*", "km?:Decrypt", "kms*", "**"] {
            assert!(ActionPattern::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_misspelt_action_is_noticed() {
        for (text, noticed) in [
            ("kms:Decript", true),
            ("kms:Decripts*", true),
            ("ksm:Decrypt", true),
            ("kms:Decrypt", false),
            ("KMS:DECRYPT", false),
            ("s3:GetObject", false),
            ("ssm:GetParameter", false),
            ("*", false),
        ] {
            assert_eq!(ActionPattern::parse(text).unwrap().misspelt(text).is_some(), noticed, "{text}");
        }
    }
}
