use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::baseline::{
    Anomalies, BaselineChanges, BaselineDecision, BaselineDetail, BaselineSettings,
    BaselineSettingsChange, BaselineState, Baselines, Incidents,
};
use crate::notification::{
    Channel, ChannelChange, Channels, CreatedChannel, Deliveries, DeliveryState, NewChannel,
    SigningSecret, Tried,
};
use crate::policy::{
    EffectivePolicy, NewPolicy, Policies, Policy, PolicyAttachment, PolicyChange, PolicyScope,
    PolicyTrial, PolicyVersion, PolicyVersions, TriedPolicy,
};
use crate::retention::{Retention, RetentionChange};
use crate::routes::{Access, Method, Operation, Parameter, ROUTES, Route};
use crate::suppression::{Matches, NewSuppression, Suppression, SuppressionPreview, Suppressions};
use crate::types::{
    Acknowledged, Agents, ApiKeys, CreatedApiKey, CreatedRegistration, Decision, Destinations,
    Detection, DetectionStatus, Detections, MemberChange, Members, NewAgent, NewApiKey, NewTrust,
    Overview, Problem, Projects, Run, Runs, Tag, Trust, Trusts,
};

/// The description of the API, as OpenAPI 3.1.
pub fn openapi() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    let mut schemas = settings.into_generator();
    let problem = schema::<Problem>(&mut schemas);
    let mut paths = Map::new();
    for route in ROUTES {
        let operation = operation(route, &problem, &mut schemas);
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[method(route.method)] = operation;
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Runward control plane",
            "version": "1",
            "description": "What jobs recorded, as data. Times are milliseconds since 1970 in UTC.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas.take_definitions(true),
            "securitySchemes": security(),
        },
    })
}

/// What a request can come with. Sessions are those of the pages; the cookie's name is the one over TLS.
fn security() -> Value {
    json!({
        "key": { "type": "http", "scheme": "bearer" },
        "ciToken": {
            "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
            "description": "A token that GitHub or GitLab signed for the job, with this server's address as its audience.",
        },
        "registration": { "type": "http", "scheme": "bearer" },
        "session": { "type": "apiKey", "in": "cookie", "name": "__Host-runward" },
        "csrf": { "type": "apiKey", "in": "header", "name": "X-CSRF-Token" },
    })
}

fn method(method: Method) -> &'static str {
    match method {
        Method::Get => "get",
        Method::Post => "post",
        Method::Patch => "patch",
        Method::Delete => "delete",
    }
}

fn schema<T: JsonSchema>(schemas: &mut SchemaGenerator) -> Schema {
    schemas.subschema_for::<T>()
}

fn operation(route: &Route, problem: &Schema, schemas: &mut SchemaGenerator) -> Value {
    let mut responses = Map::new();
    let (status, about) = match route.operation {
        Operation::CreateKey
        | Operation::CreateSuppression
        | Operation::CreatePolicy
        | Operation::AttachPolicy
        | Operation::CreateTrust
        | Operation::CreateRegistration
        | Operation::CreateChannel
        | Operation::RenewSigningSecret
        | Operation::RegisterAgent => ("201", "It was made."),
        Operation::DetachPolicy => ("204", "It was detached."),
        Operation::ArchivePolicy => ("204", "It was put away."),
        Operation::RevokeKey => ("204", "It was taken back."),
        Operation::EndSuppression => ("204", "It has ended."),
        Operation::SendAgain => ("204", "It waits to be sent."),
        Operation::DecideBaseline => ("204", "It is decided."),
        Operation::ChangeMember
        | Operation::RemoveMember
        | Operation::RemoveTrust
        | Operation::RemoveChannel => ("204", "It was done."),
        _ => ("200", "The answer."),
    };
    let mut answer = json!({ "description": about });
    if let Some(schema) = response(route.operation, schemas) {
        answer["content"] = json!({ "application/json": { "schema": schema } });
    }
    responses.insert(status.to_owned(), answer);
    for (status, about) in failures(route) {
        let content = json!({ "application/problem+json": { "schema": problem } });
        responses.insert(
            status.to_owned(),
            json!({ "description": about, "content": content }),
        );
    }
    let mut operation = json!({
        "operationId": name(route.operation),
        "summary": route.summary,
        "parameters": parameters(route, schemas),
        "responses": responses,
    });
    if let Some((kind, schema)) = request(route.operation, schemas) {
        operation["requestBody"] =
            json!({ "required": true, "content": { kind: { "schema": schema } } });
    }
    if route.access != Access::Public {
        operation["security"] = match route.access {
            Access::Ingest => json!([{ "key": [] }, { "ciToken": [] }]),
            Access::Registration => json!([{ "registration": [] }]),
            _ if route.method == Method::Get => json!([{ "key": [] }, { "session": [] }]),
            _ => json!([{ "key": [] }, { "session": [], "csrf": [] }]),
        };
    }
    operation
}

fn name(operation: Operation) -> String {
    let words = format!("{operation:?}");
    words
        .chars()
        .take(1)
        .flat_map(char::to_lowercase)
        .chain(words.chars().skip(1))
        .collect()
}

/// What is sent.
fn request(operation: Operation, schemas: &mut SchemaGenerator) -> Option<(&'static str, Schema)> {
    match operation {
        Operation::SendEvents => {
            let bytes = json!({ "type": "string", "contentMediaType": "application/zstd" });
            Some(("application/x-ndjson", Schema::try_from(bytes).ok()?))
        }
        Operation::DecideDetection => Some(("application/json", schema::<Decision>(schemas))),
        Operation::CreateSuppression => {
            Some(("application/json", schema::<NewSuppression>(schemas)))
        }
        Operation::PreviewSuppression => Some(("application/json", schema::<Matches>(schemas))),
        Operation::CreateKey => Some(("application/json", schema::<NewApiKey>(schemas))),
        Operation::CreatePolicy => Some(("application/json", schema::<NewPolicy>(schemas))),
        Operation::ChangePolicy => Some(("application/json", schema::<PolicyChange>(schemas))),
        Operation::AttachPolicy => Some(("application/json", schema::<PolicyScope>(schemas))),
        Operation::TryPolicy => Some(("application/json", schema::<PolicyTrial>(schemas))),
        Operation::ChangeMember => Some(("application/json", schema::<MemberChange>(schemas))),
        Operation::ChangeRetention => {
            Some(("application/json", schema::<RetentionChange>(schemas)))
        }
        Operation::DecideBaseline => {
            Some(("application/json", schema::<BaselineDecision>(schemas)))
        }
        Operation::ChangeBaselineSettings => Some((
            "application/json",
            schema::<BaselineSettingsChange>(schemas),
        )),
        Operation::CreateTrust => Some(("application/json", schema::<NewTrust>(schemas))),
        Operation::RegisterAgent => Some(("application/json", schema::<NewAgent>(schemas))),
        Operation::CreateChannel => Some(("application/json", schema::<NewChannel>(schemas))),
        Operation::ChangeChannel => Some(("application/json", schema::<ChannelChange>(schemas))),
        _ => None,
    }
}

/// What is answered.
fn response(operation: Operation, schemas: &mut SchemaGenerator) -> Option<Schema> {
    match operation {
        Operation::DescribeApi | Operation::ShowReport => {
            Schema::try_from(json!({ "type": "object" })).ok()
        }
        Operation::SendEvents | Operation::SendHeartbeat => Some(schema::<Acknowledged>(schemas)),
        Operation::ShowOverview => Some(schema::<Overview>(schemas)),
        Operation::ListProjects => Some(schema::<Projects>(schemas)),
        Operation::ListRuns => Some(schema::<Runs>(schemas)),
        Operation::ShowRun => Some(schema::<Run>(schemas)),
        Operation::ListDestinations => Some(schema::<Destinations>(schemas)),
        Operation::ListDetections => Some(schema::<Detections>(schemas)),
        Operation::DecideDetection => Some(schema::<Detection>(schemas)),
        Operation::ListSuppressions => Some(schema::<Suppressions>(schemas)),
        Operation::CreateSuppression | Operation::ShowSuppression => {
            Some(schema::<Suppression>(schemas))
        }
        Operation::PreviewSuppression => Some(schema::<SuppressionPreview>(schemas)),
        Operation::ListPolicies => Some(schema::<Policies>(schemas)),
        Operation::CreatePolicy | Operation::ShowPolicy | Operation::ChangePolicy => {
            Some(schema::<Policy>(schemas))
        }
        Operation::ListPolicyVersions => Some(schema::<PolicyVersions>(schemas)),
        Operation::ShowPolicyVersion => Some(schema::<PolicyVersion>(schemas)),
        Operation::AttachPolicy => Some(schema::<PolicyAttachment>(schemas)),
        Operation::TryPolicy => Some(schema::<TriedPolicy>(schemas)),
        Operation::ShowEffectivePolicy => Some(schema::<EffectivePolicy>(schemas)),
        Operation::ListBaselines => Some(schema::<Baselines>(schemas)),
        Operation::ShowBaseline => Some(schema::<BaselineDetail>(schemas)),
        Operation::ListBaselineChanges => Some(schema::<BaselineChanges>(schemas)),
        Operation::ShowBaselineSettings | Operation::ChangeBaselineSettings => {
            Some(schema::<BaselineSettings>(schemas))
        }
        Operation::ListAnomalies => Some(schema::<Anomalies>(schemas)),
        Operation::ListIncidents => Some(schema::<Incidents>(schemas)),
        Operation::ListAgents => Some(schema::<Agents>(schemas)),
        Operation::ListKeys => Some(schema::<ApiKeys>(schemas)),
        Operation::CreateKey | Operation::RegisterAgent => Some(schema::<CreatedApiKey>(schemas)),
        Operation::ListMembers => Some(schema::<Members>(schemas)),
        Operation::ShowRetention | Operation::ChangeRetention => Some(schema::<Retention>(schemas)),
        Operation::ListTrust => Some(schema::<Trusts>(schemas)),
        Operation::CreateTrust => Some(schema::<Trust>(schemas)),
        Operation::CreateRegistration => Some(schema::<CreatedRegistration>(schemas)),
        Operation::ListChannels => Some(schema::<Channels>(schemas)),
        Operation::CreateChannel => Some(schema::<CreatedChannel>(schemas)),
        Operation::ShowChannel | Operation::ChangeChannel => Some(schema::<Channel>(schemas)),
        Operation::TestChannel => Some(schema::<Tried>(schemas)),
        Operation::RenewSigningSecret => Some(schema::<SigningSecret>(schemas)),
        Operation::ListDeliveries => Some(schema::<Deliveries>(schemas)),
        Operation::RevokeKey
        | Operation::EndSuppression
        | Operation::DetachPolicy
        | Operation::ArchivePolicy
        | Operation::ChangeMember
        | Operation::RemoveMember
        | Operation::RemoveChannel
        | Operation::SendAgain
        | Operation::DecideBaseline
        | Operation::RemoveTrust => None,
    }
}

fn failures(route: &Route) -> Vec<(&'static str, &'static str)> {
    let mut failures = vec![("503", "The server can't answer now; nothing was changed.")];
    if route.access != Access::Public {
        failures.push(("401", "No key, or none that is good for this."));
        failures.push((
            "403",
            "The person may not do this, or has to log in again for it; or the token is another job's.",
        ));
        failures.push((
            "429",
            "Asked too often; `retry-after` says when it goes on.",
        ));
    }
    let names_a_project = matches!(
        route.operation,
        Operation::CreateKey
            | Operation::TryPolicy
            | Operation::ShowEffectivePolicy
            | Operation::CreateChannel
    );
    if route.path.contains('{') || names_a_project {
        failures.push(("404", "It is not there, or belongs to somebody else."));
    }
    if route.method != Method::Get || !route.query.is_empty() || route.path.contains('{') {
        failures.push(("400", "The request can't be read."));
    }
    if matches!(
        route.operation,
        Operation::SendEvents
            | Operation::CreateKey
            | Operation::DecideDetection
            | Operation::CreateSuppression
            | Operation::PreviewSuppression
            | Operation::CreatePolicy
            | Operation::ChangePolicy
            | Operation::AttachPolicy
            | Operation::TryPolicy
            | Operation::ChangeMember
            | Operation::ChangeRetention
            | Operation::CreateTrust
            | Operation::RegisterAgent
            | Operation::CreateChannel
            | Operation::ChangeChannel
            | Operation::DecideBaseline
            | Operation::ChangeBaselineSettings
    ) {
        failures.push(("413", "It is too large."));
        failures.push(("415", "It is of another type."));
        failures.push(("422", "It can be read, and can't be taken."));
    }
    if matches!(
        route.operation,
        Operation::SendEvents | Operation::ShowReport
    ) {
        failures.push((
            "410",
            "The events of this run were deleted, as the organisation's settings say.",
        ));
    }
    if matches!(
        route.operation,
        Operation::CreateSuppression | Operation::CreateChannel
    ) {
        failures.push(("409", "There are as many as there may be."));
    }
    if matches!(
        route.operation,
        Operation::CreatePolicy
            | Operation::ChangePolicy
            | Operation::AttachPolicy
            | Operation::ArchivePolicy
            | Operation::ChangeRetention
    ) {
        failures.push(("409", "What is there now does not let it happen."));
    }
    if matches!(route.operation, Operation::RemoveMember) {
        failures.push(("422", "The organisation would be without an admin."));
    }
    if route.operation == Operation::RenewSigningSecret {
        failures.push(("422", "Only messages to webhooks are signed."));
    }
    if route.operation == Operation::SendAgain {
        failures.push(("409", "Its channel was removed."));
    }
    if route.operation == Operation::CreateTrust {
        failures.push(("409", "It is there already."));
    }
    failures
}

fn parameters(route: &Route, schemas: &mut SchemaGenerator) -> Vec<Value> {
    let in_path = route
        .path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let in_path = in_path.map(|name| {
        let (schema, about) = match name {
            "run" => (
                json!({ "type": "string", "pattern": "^[0-9a-f]{32}$" }),
                "The run's name: 32 hexadecimal digits.",
            ),
            _ => (
                json!({ "type": "integer", "format": "int64", "minimum": 1 }),
                match name {
                    "version" => "The version's number.",
                    "attachment" => "The attachment's number.",
                    _ => "Its number.",
                },
            ),
        };
        json!({
            "name": name,
            "in": "path",
            "required": true,
            "description": about,
            "schema": schema,
        })
    });
    let in_query = route
        .query
        .iter()
        .map(|parameter| query(route.operation, parameter, schemas));
    in_path.chain(in_query).collect()
}

fn query(operation: Operation, parameter: &Parameter, schemas: &mut SchemaGenerator) -> Value {
    let mut schema = json!({ "type": parameter.kind });
    if parameter.kind == "integer" {
        schema["format"] = json!("int64");
    }
    match parameter.name {
        "limit" => {
            schema["minimum"] = json!(1);
            schema["maximum"] = json!(200);
        }
        "days" => {
            schema["minimum"] = json!(1);
            schema["maximum"] = json!(366);
        }
        "first" => schema["minimum"] = json!(1),
        "state" if operation == Operation::ListDeliveries => {
            schema = self::schema::<DeliveryState>(schemas).to_value();
        }
        "state" if operation == Operation::ListBaselines => {
            schema = self::schema::<BaselineState>(schemas).to_value();
        }
        "state" => schema["enum"] = json!(["live", "expired", "ended"]),
        "after" => schema["pattern"] = json!("^-?[0-9]{1,18}-[0-9]{1,18}$"),
        "status" => schema = self::schema::<DetectionStatus>(schemas).to_value(),
        "tag" => schema = self::schema::<Tag>(schemas).to_value(),
        _ => {}
    }
    json!({
        "name": parameter.name,
        "in": "query",
        "required": parameter.required,
        "description": parameter.about,
        "schema": schema,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_leads_somewhere() {
        let document = openapi();
        let text = document.to_string();
        for reference in text.split("\"$ref\":\"#").skip(1) {
            let pointer = reference.split('"').next().unwrap();
            assert!(document.pointer(pointer).is_some(), "{pointer}");
        }
        assert!(document["paths"].as_object().unwrap().len() > 10);
    }

    #[test]
    fn every_body_has_an_example() {
        let document = openapi();
        let paths = document["paths"].as_object().unwrap();
        let operations = paths
            .values()
            .flat_map(|path| path.as_object().unwrap().values());
        let bodies = operations
            .filter_map(|operation| operation.pointer("/requestBody/content/application~1json"));
        let mut count = 0;
        for body in bodies {
            let reference = body["schema"]["$ref"].as_str().unwrap();
            let schema = document.pointer(reference.trim_start_matches('#')).unwrap();
            assert!(
                schema["examples"][0].is_object(),
                "{reference}: it has its place in src/examples.rs"
            );
            count += 1;
        }
        assert!(count > 5);
    }
}
