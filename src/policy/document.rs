//! A policy document: IAM's JSON, read strictly into statements.
//!
//! Whatever is not understood is refused, never passed over; every fault of a document is found in one pass. What
//! is legal and surely a mistake is a warning.

use std::borrow::Cow;
use std::collections::HashSet;

use super::Kind;
use super::action::{ActionPattern, ActionSet, Actions};
use super::arn::ResourcePattern;
use super::condition::Condition;
use super::fault::{Fault, Findings, Path, Refusal};
use super::json::Node;
use super::key::ConditionKey;
use super::operator::Operator;
use super::statement::{Effect, Resources, Statement};
use super::template::Variable;

/// A policy document that has been read without a fault.
#[derive(Clone, Debug)]
pub struct Document {
    pub(super) name: Box<str>,
    pub(super) kind: Kind,
    pub(super) statements: Vec<Statement>,
}

/// A document, and what its author should know about it.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// The document.
    pub document: Document,
    /// What is legal and probably not meant: misspelt actions and condition keys, statements that cannot apply.
    pub warnings: Vec<Fault>,
}

impl Document {
    /// Reads a document. `name` is what decisions call it by: its file or id.
    ///
    /// # Errors
    ///
    /// Every fault there is, each with its place.
    pub fn parse(name: &str, json: &[u8], kind: Kind) -> Result<Parsed, Vec<Fault>> {
        let root = Path::default();
        let node = Node::parse(json).map_err(|refusal| vec![refusal.at(&root)])?;
        let mut findings = Findings::default();
        node.note_duplicates(&root, &mut findings);
        let statements = Reader { kind, variables: false, findings: &mut findings }.document(&node, &root);
        match statements {
            Some(statements) if findings.faults.is_empty() => {
                let document = Self { name: name.into(), kind, statements };
                Ok(Parsed { document, warnings: findings.warnings })
            }
            _ => Err(findings.faults),
        }
    }

    /// How many statements there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.statements.len()
    }

    /// Whether there are none; no document that was read is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.statements.is_empty()
    }
}

const DOCUMENT_MEMBERS: [&str; 2] = ["Version", "Statement"];
const STATEMENT_MEMBERS: [&str; 7] = ["Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"];

/// Reads one document. A method that cannot answer has noted a fault, and a document with a fault is not used.
struct Reader<'f> {
    kind: Kind,
    /// The document's version has policy variables.
    variables: bool,
    findings: &'f mut Findings,
}

impl Reader<'_> {
    fn document(&mut self, node: &Node, path: &Path<'_>) -> Option<Vec<Statement>> {
        let members = self.members(node, path, &DOCUMENT_MEMBERS)?;
        // Of an unknown version the rest is read as of the present one, for its faults.
        self.variables = self.version(member(members, "Version"), path).unwrap_or(true);
        let path = path.member("Statement");
        let statements = match member(members, "Statement") {
            Some(Node::List(items)) if items.is_empty() => {
                self.findings.refuse(&path, Refusal::new("the list of statements is empty"))
            }
            Some(Node::List(items)) => {
                let statements = items.iter().enumerate();
                all(statements.map(|(index, item)| self.statement(item, &path.item(index))))
            }
            Some(item) => self.statement(item, &path).map(|statement| vec![statement]),
            None => self.findings.refuse(&path, Refusal::new("`Statement` is missing")),
        }?;
        self.unique_sids(&statements, &path);
        Some(statements)
    }

    /// Whether the version has policy variables.
    fn version(&mut self, node: Option<&Node>, path: &Path<'_>) -> Option<bool> {
        match node {
            None => Some(false),
            Some(Node::Text(text)) if text == "2012-10-17" => Some(true),
            Some(Node::Text(text)) if text == "2008-10-17" => Some(false),
            Some(_) => {
                let refusal = Refusal::new("the version is not one of the policy language");
                self.findings.refuse(&path.member("Version"), refusal.hint("write `2012-10-17`"))
            }
        }
    }

    fn unique_sids(&mut self, statements: &[Statement], path: &Path<'_>) {
        let mut seen = HashSet::new();
        for (index, statement) in statements.iter().enumerate() {
            if let Some(sid) = statement.sid.as_deref().filter(|sid| !seen.insert(*sid)) {
                let refusal = Refusal::new(format!("the statement id `{sid}` stands twice"));
                self.findings.refuse::<()>(&path.item(index).member("Sid"), refusal);
            }
        }
    }

    fn statement(&mut self, node: &Node, path: &Path<'_>) -> Option<Statement> {
        let members = self.members(node, path, &STATEMENT_MEMBERS)?;
        // All parts are read before any is asked for, so that the faults of all are noted.
        let sid = self.sid(member(members, "Sid"), path);
        let effect = self.effect(member(members, "Effect"), path);
        let actions = self.actions(members, path);
        let resources = self.resources(members, path);
        let conditions = self.conditions(member(members, "Condition"), &path.member("Condition"));
        let statement = Statement {
            sid,
            effect: effect?,
            actions: actions?,
            resources: resources?,
            conditions: conditions?.into(),
        };
        self.warn_of_pitfalls(&statement, path);
        Some(statement)
    }

    fn sid(&mut self, node: Option<&Node>, path: &Path<'_>) -> Option<Box<str>> {
        match node? {
            Node::Text(sid) if sid.is_empty() => None,
            Node::Text(sid) if sid.bytes().all(|b| b.is_ascii_alphanumeric()) => Some(sid.as_str().into()),
            _ => {
                let refusal = Refusal::new("a statement id is a string of letters and digits");
                self.findings.refuse(&path.member("Sid"), refusal)
            }
        }
    }

    fn effect(&mut self, node: Option<&Node>, path: &Path<'_>) -> Option<Effect> {
        let refusal = match node {
            Some(Node::Text(text)) => match text.as_str() {
                "Allow" => return Some(Effect::Allow),
                "Deny" => return Some(Effect::Deny),
                other => Refusal::new(format!("`{other}` is no effect")).did_you_mean(other, ["Allow", "Deny"]),
            },
            Some(other) => Refusal::new(format!("the effect is {}", other.kind())),
            None => Refusal::new("`Effect` is missing"),
        };
        self.findings.refuse(&path.member("Effect"), refusal.hint_if_none("write `Allow` or `Deny`"))
    }

    /// The one of two members that is there, and whether it is the second.
    fn one_of<'m>(
        &mut self,
        members: &'m [(String, Node)],
        names: [&'static str; 2],
        path: &Path<'_>,
    ) -> Option<(&'m Node, &'static str, bool)> {
        let [plain, except] = names;
        match (member(members, plain), member(members, except)) {
            (Some(node), None) => Some((node, plain, false)),
            (None, Some(node)) => Some((node, except, true)),
            (Some(_), Some(_)) => {
                let refusal = Refusal::new(format!("`{plain}` and `{except}` exclude each other"));
                self.findings.refuse(path, refusal.hint("keep one of them"))
            }
            (None, None) => self.findings.refuse(path, Refusal::new(format!("`{plain}` is missing"))),
        }
    }

    fn actions(&mut self, members: &[(String, Node)], path: &Path<'_>) -> Option<Actions> {
        let (node, name, except) = self.one_of(members, ["Action", "NotAction"], path)?;
        let patterns = self.texts(node, &path.member(name), |reader, text, path| {
            let pattern = reader.findings.take(path, ActionPattern::parse(text))?;
            if let Some(warning) = pattern.misspelt(text) {
                reader.findings.warn(path, warning);
            }
            Some(pattern)
        })?;
        Some(Actions::new(patterns, except))
    }

    fn resources(&mut self, members: &[(String, Node)], path: &Path<'_>) -> Option<Resources> {
        let (node, name, except) = self.one_of(members, ["Resource", "NotResource"], path)?;
        let patterns = self.texts(node, &path.member(name), |reader, text, path| {
            if text == "*" {
                return Some(None);
            }
            let pattern = reader.findings.take(path, ResourcePattern::parse(text, reader.variables))?;
            reader.warn_of_variables(text, pattern.variables(), path);
            Some(Some(pattern))
        })?;
        let patterns: Option<Box<[ResourcePattern]>> = patterns.into_iter().collect();
        Some(match (patterns, except) {
            (Some(patterns), false) => Resources::Only(patterns),
            (Some(patterns), true) => Resources::Except(patterns),
            (None, false) => Resources::All,
            (None, true) => Resources::None,
        })
    }

    fn conditions(&mut self, node: Option<&Node>, path: &Path<'_>) -> Option<Vec<Condition>> {
        let Some(node) = node else { return Some(Vec::new()) };
        let operators = self.object(node, path)?;
        let blocks = operators.iter().map(|(name, keys)| {
            let path = path.member(name);
            let operator = self.findings.take(&path, Operator::parse(name));
            let keys = self.object(keys, &path)?;
            if keys.is_empty() {
                return self.findings.refuse(&path, Refusal::new("no condition key is tested"));
            }
            all(keys.iter().map(|(key, values)| self.condition(operator, key, values, &path.member(key))))
        });
        Some(all(blocks)?.into_iter().flatten().collect())
    }

    fn condition(&mut self, operator: Option<Operator>, name: &str, node: &Node, path: &Path<'_>) -> Option<Condition> {
        let key = self.findings.take(path, ConditionKey::parse(name));
        let values = self.values(node, path);
        let (operator, key, values) = (operator?, key?, values?);
        if let Some(warning) = key.misspelt(name) {
            self.findings.warn(path, warning);
        }
        match Condition::parse(operator, key, &values, self.variables) {
            Ok(condition) => {
                self.warn_of_variables("", condition.variables(), path);
                if !self.variables && values.iter().any(|value| value.contains("${")) {
                    self.warn_of_variables("${", std::iter::empty(), path);
                }
                if condition.lacks_set_operator() {
                    let warning = Refusal::new(format!("`{name}` can have several values"));
                    self.findings.warn(path, warning.hint("put `ForAllValues:` or `ForAnyValue:` before the operator"));
                }
                Some(condition)
            }
            Err(refusals) => {
                let listed = matches!(node, Node::List(_));
                for (index, refusal) in refusals {
                    let item = path.item(index);
                    self.findings.refuse::<()>(if listed { &item } else { path }, refusal);
                }
                None
            }
        }
    }

    /// The values of one condition key: one scalar or a list of them.
    fn values<'n>(&mut self, node: &'n Node, path: &Path<'_>) -> Option<Vec<Cow<'n, str>>> {
        let mut scalar = |node: &'n Node, path: &Path<'_>| {
            let refusal = || Refusal::new(format!("{} is no value of a condition", node.kind()));
            let text = node.scalar().ok_or_else(|| refusal().hint("write a string, a number or a boolean"));
            self.findings.take(path, text)
        };
        match node {
            Node::List(items) if items.is_empty() => {
                self.findings.refuse(path, Refusal::new("the list of values is empty"))
            }
            Node::List(items) => all(items.iter().enumerate().map(|(index, item)| scalar(item, &path.item(index)))),
            one => scalar(one, path).map(|text| vec![text]),
        }
    }

    /// Reads a string or a list of strings, which may not be empty.
    fn texts<T>(
        &mut self,
        node: &Node,
        path: &Path<'_>,
        mut read: impl FnMut(&mut Self, &str, &Path<'_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let mut text = |node: &Node, path: &Path<'_>| match node {
            Node::Text(text) => read(self, text, path),
            other => {
                self.findings.refuse(path, Refusal::new(format!("{} stands where a string belongs", other.kind())))
            }
        };
        match node {
            Node::List(items) if items.is_empty() => self.findings.refuse(path, Refusal::new("the list is empty")),
            Node::List(items) => all(items.iter().enumerate().map(|(index, item)| text(item, &path.item(index)))),
            one => Some(vec![text(one, path)?]),
        }
    }

    fn object<'n>(&mut self, node: &'n Node, path: &Path<'_>) -> Option<&'n [(String, Node)]> {
        match node {
            Node::Object(members) => Some(members),
            other => {
                self.findings.refuse(path, Refusal::new(format!("{} stands where an object belongs", other.kind())))
            }
        }
    }

    /// The members of an object, each that is not one of `known` refused.
    fn members<'n>(&mut self, node: &'n Node, path: &Path<'_>, known: &[&'static str]) -> Option<&'n [(String, Node)]> {
        let members = self.object(node, path)?;
        for (name, _) in members.iter().filter(|(name, _)| !known.contains(&name.as_str())) {
            let refusal = match name.as_str() {
                "Principal" | "NotPrincipal" | "Id" => {
                    Refusal::new(format!("`{name}` does not belong in {}", self.kind))
                        .hint("the policy applies to the principal it is attached to")
                }
                _ => Refusal::new(format!("`{name}` is no element of a policy"))
                    .did_you_mean(name, known.iter().copied()),
            };
            self.findings.refuse::<()>(&path.member(name), refusal);
        }
        Some(members)
    }

    /// Warns of variables that never have a value, and of `text` whose variables its version does not know.
    fn warn_of_variables<'v>(&mut self, text: &str, variables: impl Iterator<Item = &'v Variable>, path: &Path<'_>) {
        for variable in variables {
            if let Some(warning) = variable.key.misspelt(&variable.written) {
                self.findings.warn(path, warning);
            }
        }
        if !self.variables && text.contains("${") {
            let warning = Refusal::new("`${` is literal text in this version of the policy language");
            self.findings.warn(path, warning.hint("write `\"Version\": \"2012-10-17\"` to have variables"));
        }
    }

    fn warn_of_pitfalls(&mut self, statement: &Statement, path: &Path<'_>) {
        let known: ActionSet = statement.actions.known();
        let aliases = statement.resources.patterns().iter().any(ResourcePattern::is_alias);
        if aliases && !known.is_empty() && !known.touches_aliases() {
            let warning = Refusal::new(
                "an alias as resource governs only `kms:CreateAlias`, `kms:UpdateAlias` and `kms:DeleteAlias`",
            );
            self.findings.warn(
                path,
                warning
                    .hint("name the key's ARN, or use the condition key `kms:RequestAlias` or `kms:ResourceAliases`"),
            );
        }
        if statement.effect == Effect::Allow {
            let permissive = statement.conditions.iter().filter_map(Condition::holds_for_nothing);
            for key in permissive.filter(|key| !statement.conditions.iter().any(|other| other.demands(key))) {
                let warning = Refusal::new(format!("`ForAllValues` holds for requests without `{key}`"));
                let hint = format!("add `\"Null\": {{\"{key}\": \"false\"}}` if the request must have it");
                self.findings.warn(&path.member("Condition"), warning.hint(hint));
            }
        }
    }
}

fn member<'n>(members: &'n [(String, Node)], name: &str) -> Option<&'n Node> {
    members.iter().find(|(known, _)| known == name).map(|(_, node)| node)
}

/// All values, or `None` if one is missing; in either case each has been read.
fn all<T>(parts: impl Iterator<Item = Option<T>>) -> Option<Vec<T>> {
    let parts: Vec<Option<T>> = parts.collect();
    parts.into_iter().collect()
}
