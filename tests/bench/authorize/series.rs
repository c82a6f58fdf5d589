//! The series: each one way for policies to become many, and the questions that tell its members apart.

use std::sync::Arc;

use kmsgate::policy::{KeyPolicy, Kind};

use crate::Outcome;
use crate::documents::{
    ACCOUNT, NOT_WITHOUT_TLS, USE, account, allow, first, json, key_arn, key_id, only, policy, role, session, tenant,
    user,
};
use crate::grants;
use crate::question::{Attached, Facts, Question, Verdict};

/// Makes a question about a member; if asked so, one that is refused.
pub(crate) type Make = Box<dyn Fn(usize, bool) -> Outcome<Question>>;

/// A series.
#[derive(Debug)]
pub(crate) struct Series {
    /// Its name: what there is many of.
    pub(crate) name: &'static str,
    /// How many.
    pub(crate) sizes: [usize; 3],
    /// Makes the policies of a population of that size.
    pub(crate) make: fn(usize) -> Outcome<Make>,
}

const GROWING: [usize; 3] = [10, 1000, 100_000];
/// The last is about what the 32,768 bytes of a key policy hold of such statements.
const IN_ONE_KEY_POLICY: [usize; 3] = [10, 30, 90];
const LONGEST_KEY_POLICY: usize = 32_768;

/// All series.
pub(crate) const SERIES: [Series; 9] = [
    Series { name: "principals", sizes: GROWING, make: principals },
    Series { name: "statements of one document", sizes: GROWING, make: statements },
    Series { name: "statements about keys by their beginning", sizes: GROWING, make: beginnings },
    Series { name: "statements about keys in any region", sizes: GROWING, make: regions },
    Series { name: "keys in one statement's list", sizes: GROWING, make: keys },
    Series { name: "keys with a policy each", sizes: GROWING, make: key_policies },
    Series { name: "statements of one key policy", sizes: IN_ONE_KEY_POLICY, make: key_policy_statements },
    Series { name: "grants of one key to a role each", sizes: GROWING, make: grants::to_many },
    Series { name: "grants of one key to one role", sizes: GROWING, make: grants::to_one },
];

const DECRYPT: &str = "kms:Decrypt";
pub(crate) const DATA_KEY: &str = "kms:GenerateDataKeyWithoutPlaintext";
pub(crate) const OTHER_TENANT: &str = "tenant-another";

/// A member's request: `tenant` is what its encryption context says.
pub(crate) fn facts(member: usize, tenant_named: String) -> Facts {
    let pairs = vec![("purpose", "orders".to_owned()), ("tenant", tenant_named)];
    Facts { pairs, tags: vec![("team", "payments".to_owned()), ("tenant", tenant(member))] }
}

/// A question to identity policies alone.
fn to_identity(
    member: usize,
    action: &'static str,
    refused: bool,
    identity: &Attached,
    place: usize,
) -> Outcome<Question> {
    Ok(Question {
        action,
        resource: key_arn(member),
        caller: user(member)?,
        facts: facts(member, if refused { OTHER_TENANT.to_owned() } else { tenant(member) }),
        guardrail: None,
        key: None,
        boundary: None,
        identity: Arc::clone(identity),
        grant: None,
        expected: if refused { Verdict::ImplicitDeny(Kind::Identity) } else { Verdict::identity(place) },
    })
}

/// Principals, each with a policy of its own and one of a group of all, which names the caller by a variable.
fn principals(size: usize) -> Outcome<Make> {
    let own_data_keys = allow("OwnTenant", r#""kms:GenerateDataKey*""#, &any_key(), "${aws:PrincipalTag/tenant}");
    let group = policy(Kind::Identity, [own_data_keys])?;
    let of = |member| -> Outcome<Attached> {
        let own = allow("UseTheKey", r#""kms:Decrypt""#, &key_arn(member), &tenant(member));
        let own = policy(Kind::Identity, [NOT_WITHOUT_TLS, &own])?;
        Ok([own, Arc::clone(&group)].into())
    };
    let all = (0..size).map(of).collect::<Outcome<Vec<_>>>()?;
    Ok(Box::new(move |member, refused| {
        let identity = all.get(member).ok_or("no such principal")?;
        let (action, place) = if member % 2 == 0 { (DECRYPT, 1) } else { (DATA_KEY, 0) };
        to_identity(member, action, refused, identity, place)
    }))
}

fn any_key() -> String {
    format!("arn:aws:kms:us-east-1:{ACCOUNT}:key/*")
}

/// Statements in one document, each about a resource: one in ten denies.
fn document(size: usize, resource: impl Fn(usize) -> String) -> Outcome<Make> {
    let statement = |member: usize| {
        if denies(member) {
            let (sid, resource) = (sid(member), resource(member));
            return format!(r#"{{"Sid": "{sid}", "Effect": "Deny", "Action": "kms:*", "Resource": "{resource}"}}"#);
        }
        allow(&sid(member), USE, &resource(member), &tenant(member))
    };
    let identity = only(Kind::Identity, (0..size).map(statement))?;
    Ok(Box::new(move |member, refused| {
        let question = to_identity(member, DATA_KEY, refused, &identity, member)?;
        let expected = if denies(member) { Verdict::ExplicitDeny(member) } else { question.expected };
        Ok(Question { expected, ..question })
    }))
}

fn sid(member: usize) -> String {
    format!("Statement{member}")
}

fn denies(member: usize) -> bool {
    member % 10 == 9
}

fn statements(size: usize) -> Outcome<Make> {
    document(size, key_arn)
}

fn beginnings(size: usize) -> Outcome<Make> {
    document(size, |member| {
        let id = key_id(member);
        let (beginning, _) = id.split_once('-').unwrap_or_default();
        format!("arn:aws:kms:us-east-1:{ACCOUNT}:key/{beginning}-*")
    })
}

fn regions(size: usize) -> Outcome<Make> {
    document(size, |member| format!("arn:aws:kms:*:{ACCOUNT}:key/{}", key_id(member)))
}

/// Keys that one statement lists, whose conditions are the same for all.
fn keys(size: usize) -> Outcome<Make> {
    let arns: Vec<String> = (0..size).map(|member| format!("\"{}\"", key_arn(member))).collect();
    let listed = format!(
        r#"{{"Effect": "Allow", "Action": {USE}, "Resource": [{}],
            "Condition": {{"StringEquals": {{"kms:EncryptionContext:purpose": "orders"}},
                           "StringLike": {{"kms:EncryptionContext:tenant": "tenant-0*"}}}}}}"#,
        arns.join(",")
    );
    let identity = only(Kind::Identity, [NOT_WITHOUT_TLS, &listed])?;
    Ok(Box::new(move |member, refused| to_identity(member, DATA_KEY, refused, &identity, 1)))
}

/// Keys, each with a policy that lets a role in and hands other questions to the account; guardrail and boundary too.
fn key_policies(size: usize) -> Outcome<Make> {
    let guardrail = only(Kind::Guardrail, [ALLOW_ALL, NOT_WITHOUT_TLS])?;
    let boundary =
        only(Kind::Boundary, [allow("Keys", r#""kms:*""#, &any_key(), "tenant-*").replace("Equals", "Like")])?;
    let identity = only(Kind::Identity, [allow("Own", USE, "*", "${aws:PrincipalTag/tenant}")])?;
    let nothing: Attached = Vec::new().into();
    let account = account()?;
    let parse = |member| -> Outcome<Arc<KeyPolicy>> {
        let (policy, _) = KeyPolicy::parse("key", json(of_key(member)).as_bytes()).map_err(first)?;
        Ok(Arc::new(policy))
    };
    let all = (0..size).map(parse).collect::<Outcome<Vec<_>>>()?;
    Ok(Box::new(move |member, refused| {
        let policy = all.get(member).ok_or("no such key")?;
        let is_session = member % 2 == 0;
        let question = to_identity(member, DATA_KEY, refused, if is_session { &nothing } else { &identity }, 0)?;
        let (key, identity) = if is_session { (1, None) } else { (0, Some(0)) };
        Ok(Question {
            caller: if is_session { session(member)? } else { user(member)? },
            guardrail: Some(Arc::clone(&guardrail)),
            key: Some((Arc::clone(policy), account)),
            boundary: Some(Arc::clone(&boundary)),
            expected: match question.expected {
                Verdict::Allow { grant, .. } => Verdict::Allow { key: Some(key), identity, grant },
                refused => refused,
            },
            ..question
        })
    }))
}

const ALLOW_ALL: &str = r#"{"Effect": "Allow", "Action": "*", "Resource": "*"}"#;

fn of_key(member: usize) -> [String; 3] {
    [
        format!(
            r#"{{"Sid": "Account", "Effect": "Allow", "Principal": {{"AWS": "arn:aws:iam::{ACCOUNT}:root"}},
                "Action": "kms:*", "Resource": "*"}}"#
        ),
        lets_in(member),
        NOT_WITHOUT_TLS.replace(r#""Effect""#, r#""Principal": "*", "Effect""#),
    ]
}

/// A key policy's statement that lets a member's role in.
fn lets_in(member: usize) -> String {
    let principal = format!(r#""Principal": {{"AWS": "{}"}}, "Effect""#, role(member));
    allow(&sid(member), USE, "*", &tenant(member)).replace(r#""Effect""#, &principal)
}

/// Statements in one key policy, each about a role.
fn key_policy_statements(size: usize) -> Outcome<Make> {
    let text = json((0..size).map(lets_in));
    if text.len() > LONGEST_KEY_POLICY {
        return Err(format!("{} bytes are no key policy", text.len()).into());
    }
    let policy = Arc::new(KeyPolicy::parse("key", text.as_bytes()).map_err(first)?.0);
    let nothing: Attached = Vec::new().into();
    let account = account()?;
    Ok(Box::new(move |member, refused| {
        let expected = if refused {
            Verdict::ImplicitDeny(Kind::Key)
        } else {
            Verdict::Allow { key: Some(member), identity: None, grant: false }
        };
        let question = to_identity(member, DATA_KEY, refused, &nothing, 0)?;
        let (caller, key) = (session(member)?, Some((Arc::clone(&policy), account)));
        Ok(Question { caller, key, resource: key_arn(0), expected, ..question })
    }))
}
