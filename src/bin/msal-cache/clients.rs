//! Names of widely used public clients.

/// Client ids of Microsoft's tools, from their source code and documentation.
const KNOWN: [(&str, &str); 6] = [
    ("04b07795-8ddb-461a-bbee-02f9e1bf7b46", "Azure CLI"),
    ("14d82eec-204b-4c2f-b7e8-296a70dab67e", "Graph PowerShell"),
    ("1950a258-227b-4e31-a9cf-717495945fc2", "Azure PowerShell"),
    ("872cd9fa-d31f-45e0-9eab-6e460a02d1f1", "Visual Studio"),
    ("aebc6443-996d-45c2-90f0-388ff96faa56", "VS Code"),
    ("d3590ed6-52b3-4102-aeff-aad2292ab01c", "Microsoft Office"),
];

/// The name of a well-known client.
pub(crate) fn name(client_id: &str) -> Option<&'static str> {
    let known = KNOWN.iter().find(|(id, _)| id.eq_ignore_ascii_case(client_id))?;
    Some(known.1)
}

/// The name of a client, or its id in lower case: for narrow columns.
pub(crate) fn short(client_id: &str) -> String {
    name(client_id).map_or_else(|| client_id.to_lowercase(), str::to_owned)
}

/// The id, with the name if it is known: `04b07795-... (Azure CLI)`.
pub(crate) fn long(client_id: &str) -> String {
    match name(client_id) {
        Some(name) => format!("{client_id} ({name})"),
        None => client_id.to_owned(),
    }
}
