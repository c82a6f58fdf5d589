//! One case of a test of policies: a line of JSON, read strictly, with every fault of it at once.
//!
//! A case with a fault is not judged. What it means to leave a member out is said in the help of `kmsgate policy test`.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::facts::{Caller, Facts};
use super::json::{Members, Scalar, kind, not_json};
use crate::aws::{AccountId, Arn};
use crate::faults::nearest;
use crate::policy::{
    ACTIONS, Compiled, ConditionKey, Decision, Document, Fault, KeyPolicy, Kind, OfResource, Policies, Request,
    evaluate,
};

/// More condition keys than a request can have: an encryption context of KMS's has at most 8,192 bytes.
const MOST_KEYS: usize = 2_000;

/// A case that has no faults.
pub(super) struct Case<'l> {
    policies: Attached,
    facts: Facts<'l>,
    action: Cow<'l, str>,
    /// Whose key the resource is.
    account: AccountId,
    /// Whether it is to be allowed, if the case says so.
    pub(super) expected: Option<bool>,
}

/// The policies of a case. A layer that is left out limits nothing.
#[derive(Default)]
struct Attached {
    identity: Vec<Arc<Compiled>>,
    guardrail: Option<Vec<Arc<Compiled>>>,
    boundary: Option<Vec<Arc<Compiled>>>,
    session: Option<Vec<Arc<Compiled>>>,
    key: Option<KeyPolicy>,
}

impl Case<'_> {
    /// What the policies say.
    pub(super) fn decision(&self) -> Decision {
        let Attached { identity, guardrail, boundary, session, key } = &self.policies;
        let resource = match key {
            None => OfResource::Nothing,
            Some(policy) => OfResource::KeyPolicy { policy, account: self.account },
        };
        let policies = Policies {
            guardrail: guardrail.as_deref(),
            boundary: boundary.as_deref(),
            session: session.as_deref(),
            resource,
            ..Policies::identity(identity)
        };
        let caller = self.facts.caller().names();
        let request = Request { action: &self.action, resource: self.facts.resource(), caller, context: &self.facts };
        evaluate(&request, &policies)
    }
}

/// Reads a line: the case's id, if it can be made out, and the case or what is wrong with it.
pub(super) fn read(line: &[u8]) -> (Option<&RawValue>, Result<Case<'_>, Vec<Fault>>) {
    let parsed = str::from_utf8(line)
        .map_err(|error| format!("not UTF-8 from byte {} on", error.valid_up_to()))
        .and_then(|line| serde_json::from_str(line).map_err(|error| not_json(&error)));
    let mut reader = Reader { faults: Vec::new() };
    let members = match parsed {
        Ok(line) => reader.object("", line, ["id", "policies", "request", "expect"]),
        Err(message) => reader.refuse("", message, None),
    };
    let Some([id, policies, request, expect]) = members else { return (None, Err(reader.faults)) };
    let id = id.filter(|id| reader.is_id(id));
    let case = reader.case(policies, request, expect);
    let read = if reader.faults.is_empty() { case.ok_or_else(Vec::new) } else { Err(reader.faults) };
    (id, read)
}

/// Reads one case. A method that cannot answer has noted a fault.
struct Reader {
    faults: Vec<Fault>,
}

/// A part of the line, as it is written there, if it is there.
type Part<'l> = Option<&'l RawValue>;

impl Reader {
    fn refuse<T>(&mut self, path: impl Into<String>, message: impl Into<String>, hint: Option<&str>) -> Option<T> {
        self.faults.push(Fault { path: path.into(), message: message.into(), hint: hint.map(str::to_owned) });
        None
    }

    /// Notes the fault of what stands at `path`.
    fn note<T>(&mut self, path: &str, fault: Fault) -> Option<T> {
        self.faults.push(fault.within(path));
        None
    }

    fn case<'l>(&mut self, policies: Part<'l>, request: Part<'l>, expect: Part<'l>) -> Option<Case<'l>> {
        // All parts are read before any is asked for, so that the faults of all are noted.
        let expected = expect.map(|expect| self.expect(expect));
        let policies = policies.map_or_else(|| Some(Attached::default()), |policies| self.policies(policies));
        let (facts, action) = match request {
            Some(request) => self.request(request),
            None => self.refuse("", "`request` is missing", Some("add its `principal`, `action` and `resource`")),
        }?;
        let policies = policies?;
        let account = match facts.key_account() {
            Ok(account) => account,
            Err(_) if policies.key.is_none() => facts.caller().names().account(),
            Err(wrong) => {
                let message = format!("`{wrong}` is no account that a key is in");
                return self.refuse("request.resource", message, Some("write its 12 digits"));
            }
        };
        Some(Case { policies, facts, action, account, expected: expected.flatten() })
    }

    /// Whether it can be given back as it is written.
    fn is_id(&mut self, id: &RawValue) -> bool {
        if !matches!(kind(id), "a string" | "a number") {
            let message = format!("the id is {}", kind(id));
            return self.refuse::<()>("id", message, Some("write a string or a number")).is_some();
        }
        self.json::<Scalar<'_>>("id", id).is_some()
    }

    fn expect(&mut self, expect: &RawValue) -> Option<bool> {
        match self.text("expect", expect)?.as_ref() {
            "allow" => Some(true),
            "deny" => Some(false),
            other => self.refuse("expect", format!("`{other}` is no decision"), Some("write `allow` or `deny`")),
        }
    }

    /// Who asks for what: the facts, which name caller and resource, and the action.
    fn request<'l>(&mut self, request: &'l RawValue) -> Option<(Facts<'l>, Cow<'l, str>)> {
        let names = ["principal", "action", "resource", "context"];
        let [principal, action, resource, context] = self.object("request", request, names)?;
        let principal = self.needed("principal", principal, Caller::of);
        let action = self.needed("action", action, known_action);
        let resource = self.needed("resource", resource, known_resource);
        let context = context.map_or_else(|| Some(Vec::new()), |context| self.context(context));
        let mut facts = Facts::new(principal?, resource?);
        for (name, key, values) in context? {
            if !facts.give(key, values) {
                let hint = "names of keys are compared without regard to case; several values are one list";
                return self.refuse(format!("request.context.{name}"), "this key stands twice", Some(hint));
            }
        }
        Some((facts, action?))
    }

    /// A string of the request, which has to be there.
    fn needed<'l, T>(
        &mut self,
        name: &str,
        part: Part<'l>,
        read: impl FnOnce(Cow<'l, str>) -> Result<T, Fault>,
    ) -> Option<T> {
        let path = format!("request.{name}");
        let Some(part) = part else { return self.refuse("request", format!("`{name}` is missing"), None) };
        match read(self.text(&path, part)?) {
            Ok(value) => Some(value),
            Err(fault) => self.note(&path, fault),
        }
    }

    /// The keys of the context, as they are written and as they are meant, with their values.
    #[expect(clippy::type_complexity, reason = "it is taken apart by the one that asks")]
    fn context<'l>(&mut self, node: &'l RawValue) -> Option<Vec<(Cow<'l, str>, ConditionKey, Vec<Cow<'l, str>>)>> {
        let members = self.members("request.context", node)?;
        if members.len() > MOST_KEYS {
            let message = format!("a request has {MOST_KEYS} keys at most");
            return self.refuse("request.context", message, Some("leave out those that no policy tests"));
        }
        let mut read = Vec::with_capacity(members.len());
        for (name, values) in members {
            let path = || format!("request.context.{name}");
            let key = match name.parse::<ConditionKey>() {
                Ok(key) => Some(key),
                Err(fault) => self.note(&path(), fault),
            };
            read.push(self.values(path, values).zip(key).map(|(values, key)| (name.clone(), key, values)));
        }
        read.into_iter().collect()
    }

    /// The values of one key: a scalar or a list of them.
    fn values<'l>(&mut self, path: impl Fn() -> String, node: &'l RawValue) -> Option<Vec<Cow<'l, str>>> {
        if kind(node) != "a list" {
            return self.value(path, node).map(|value| vec![value]);
        }
        let items: Vec<&RawValue> = self.json(&path(), node)?;
        let mut values = Vec::with_capacity(items.len());
        for (place, item) in items.into_iter().enumerate() {
            values.push(self.value(|| format!("{}[{place}]", path()), item));
        }
        values.into_iter().collect()
    }

    fn value<'l>(&mut self, path: impl Fn() -> String, node: &'l RawValue) -> Option<Cow<'l, str>> {
        if matches!(kind(node), "a list" | "an object" | "null") {
            let message = format!("{} is no value of a condition key", kind(node));
            return self.refuse(path(), message, Some("write a string, a number or a boolean"));
        }
        match serde_json::from_str(node.get()) {
            Ok(Scalar(text)) => Some(text),
            Err(error) => self.refuse(path(), not_json(&error), None),
        }
    }

    fn policies(&mut self, node: &RawValue) -> Option<Attached> {
        let names = ["identity", "key", "guardrail", "boundary", "session"];
        let [identity, key, guardrail, boundary, session] = self.object("policies", node, names)?;
        // A layer without policies is one that nobody has put anything into.
        let layer = |policies: Vec<_>| Some(policies).filter(|policies| !policies.is_empty());
        let identity = self.layer("identity", identity, Kind::Identity);
        let key = match key {
            None => Some(None),
            Some(key) => self.key_policy(key).map(Some),
        };
        let guardrail = self.layer("guardrail", guardrail, Kind::Guardrail);
        let boundary = self.layer("boundary", boundary, Kind::Boundary);
        let session = match session {
            None => Some(None),
            Some(session) => {
                self.document("policies.session", 0, session, Kind::Session).map(|policy| Some(vec![policy]))
            }
        };
        Some(Attached {
            identity: identity?,
            guardrail: layer(guardrail?),
            boundary: layer(boundary?),
            session: session?,
            key: key?,
        })
    }

    /// The documents of one layer, each named by its place.
    fn layer(&mut self, name: &str, part: Part<'_>, of: Kind) -> Option<Vec<Arc<Compiled>>> {
        let Some(part) = part else { return Some(Vec::new()) };
        let path = format!("policies.{name}");
        if kind(part) != "a list" {
            let message = format!("{} stands where a list of documents belongs", kind(part));
            return self.refuse(path, message, Some("put `[` and `]` around the document"));
        }
        let documents: Vec<&RawValue> = self.json(&path, part)?;
        let read: Vec<_> = documents
            .into_iter()
            .enumerate()
            .map(|(place, document)| self.document(&format!("{path}[{place}]"), place, document, of))
            .collect();
        read.into_iter().collect()
    }

    fn document(&mut self, path: &str, place: usize, json: &RawValue, kind: Kind) -> Option<Arc<Compiled>> {
        match Document::parse(&place.to_string(), json.get().as_bytes(), kind) {
            Ok(parsed) => Some(Arc::new(Compiled::from(parsed.document))),
            Err(faults) => self.refuse_all(path, faults),
        }
    }

    fn key_policy(&mut self, json: &RawValue) -> Option<KeyPolicy> {
        match KeyPolicy::parse("0", json.get().as_bytes()) {
            Ok((policy, _)) => Some(policy),
            Err(faults) => self.refuse_all("policies.key", faults),
        }
    }

    /// Notes the faults of a document, which stands at `path`.
    fn refuse_all<T>(&mut self, path: &str, faults: Vec<Fault>) -> Option<T> {
        self.faults.extend(faults.into_iter().map(|fault| fault.within(path)));
        None
    }

    /// The members of an object that are known here, in the order of `names`; `null` is as good as left out. Every other
    /// is refused, but in the case itself, which may hold what is its author's own, unless that looks misspelt.
    fn object<'l, const N: usize>(
        &mut self,
        path: &str,
        node: &'l RawValue,
        names: [&'static str; N],
    ) -> Option<[Part<'l>; N]> {
        let mut known = [None; N];
        for (name, value) in self.members(path, node)? {
            let place = || if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
            match names.iter().zip(&mut known).find(|(known, _)| **known == name) {
                Some((_, part @ None)) => *part = Some(value),
                Some((_, Some(_))) => {
                    self.refuse::<()>(place(), "it stands twice", Some("keep one of the two"));
                }
                None if path.is_empty() && nearest(&name, names).is_none() => {}
                None => {
                    let hint = match nearest(&name, names) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => format!("there are {}", names.map(|name| format!("`{name}`")).join(", ")),
                    };
                    self.refuse::<()>(place(), format!("`{name}` is not known here"), Some(&hint));
                }
            }
        }
        Some(known.map(|part| part.filter(|part: &&RawValue| part.get() != "null")))
    }

    fn members<'l>(&mut self, path: &str, node: &'l RawValue) -> Option<Vec<(Cow<'l, str>, &'l RawValue)>> {
        if kind(node) != "an object" {
            return self.refuse(path, format!("{} stands where an object belongs", kind(node)), None);
        }
        let Members(members) = self.json(path, node)?;
        Some(members)
    }

    fn text<'l>(&mut self, path: &str, node: &'l RawValue) -> Option<Cow<'l, str>> {
        if kind(node) != "a string" {
            return self.refuse(path, format!("{} stands where a string belongs", kind(node)), None);
        }
        let Scalar(text) = self.json(path, node)?;
        Some(text)
    }

    /// Reads what has been scanned as JSON already; only what a string says may be wrong yet.
    fn json<'l, T: Deserialize<'l>>(&mut self, path: &str, node: &'l RawValue) -> Option<T> {
        serde_json::from_str(node.get()).map_err(|error| self.refuse::<()>(path, not_json(&error), None)).ok()
    }
}

fn known_action(action: Cow<'_, str>) -> Result<Cow<'_, str>, Fault> {
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if action.split_once(':').is_some_and(|(service, name)| plain(service) && plain(name)) {
        return Ok(action);
    }
    let hint = match nearest(&format!("kms:{action}"), ACTIONS.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "write one action, as `kms:Decrypt`".to_owned(),
    };
    Err(Fault::new(format!("`{action}` is no action"), hint))
}

fn known_resource(resource: Cow<'_, str>) -> Result<Cow<'_, str>, Fault> {
    if resource == "*" || Arn::parse(&resource).is_ok() {
        return Ok(resource);
    }
    let hint = "write the ARN of a key or an alias, or `*` for an action without resource";
    Err(Fault::new(format!("`{resource}` is no ARN"), hint))
}
