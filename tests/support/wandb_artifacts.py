"""The artifacts of the stand-in W&B server: made, uploaded, committed, used and looked up."""

import base64
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wandb_graphql import Answers

ENTITY = "team"

Variables = dict[str, Any]
Data = dict[str, Any]


def create_artifact(answers: "Answers", variables: Variables) -> Data:
    """A version of an artifact, pending until it is committed; the same digest is the same."""
    given = variables["input"]
    name = (given.get("artifactCollectionNames") or [given["artifactCollectionName"]])[0]
    same = [
        key
        for key, artifact in answers.store.artifacts.items()
        if artifact["name"] == name and artifact["digest"] == given["digest"]
    ]
    key = same[0] if same else identifier("artifact", len(answers.store.artifacts))
    versions = [a for a in answers.store.artifacts.values() if a["name"] == name]
    artifact = answers.store.artifacts.setdefault(
        key,
        {
            "name": name,
            "type": given["artifactTypeName"],
            "digest": given["digest"],
            "metadata": given.get("metadata"),
            "client_id": given.get("clientID"),
            "aliases": [],
            "state": "PENDING",
            "run": given.get("runName"),
            "files": {},
            "version": len(versions),
        },
    )
    artifact["client_id"] = given.get("clientID")
    for alias in given.get("aliases") or []:
        for other in answers.store.artifacts.values():
            if other["name"] == name and alias["alias"] in other["aliases"]:
                other["aliases"].remove(alias["alias"])
        artifact["aliases"].append(alias["alias"])
    sequence: Data = {"id": f"sequence-{name}", "latestArtifact": None}
    if versions and versions[-1]["state"] == "COMMITTED":
        latest = next(k for k, a in answers.store.artifacts.items() if a is versions[-1])
        sequence["latestArtifact"] = {"id": latest, "versionIndex": versions[-1]["version"]}
    return {
        "createArtifact": {
            "artifact": {"id": key, "state": artifact["state"], "artifactSequence": sequence}
        }
    }


def create_manifest(answers: "Answers", variables: Variables) -> Data:
    """An address for the manifest of an artifact."""
    key, name = variables["artifactID"], variables["name"]
    manifest = {
        "id": f"{key}-manifest",
        "file": {
            "id": f"{key}-manifest-file",
            "name": name,
            "displayName": name,
            "uploadUrl": f"{answers.address()}/put/{key}/{name}",
            "uploadHeaders": [],
        },
    }
    return {"createArtifactManifest": {"artifactManifest": manifest}}


def update_manifest(answers: "Answers", variables: Variables) -> Data:
    """The same for its last version."""
    key = variables["artifactManifestID"].removesuffix("-manifest")
    answer = create_manifest(answers, {"artifactID": key, "name": "wandb_manifest.json"})
    return {"updateArtifactManifest": answer["createArtifactManifest"]}


def create_artifact_files(answers: "Answers", variables: Variables) -> Data:
    """Addresses for the files of an artifact."""
    edges = []
    for file in variables["input"]["artifactFiles"]:
        key, name = file["artifactID"], file["name"]
        node = {
            "id": f"{key}-{name}",
            "name": name,
            "displayName": name,
            "uploadUrl": f"{answers.address()}/put/{key}/{name}",
            "uploadHeaders": [],
            "uploadMultipartUrls": None,
            "storagePath": name,
            "artifact": {"id": key},
        }
        edges.append({"node": node})
    return {"createArtifactFiles": {"files": {"edges": edges}}}


def commit_artifact(answers: "Answers", variables: Variables) -> Data:
    """The artifact is whole."""
    key = variables["artifactID"]
    answers.store.artifacts[key]["state"] = "COMMITTED"
    digest = answers.store.artifacts[key]["digest"]
    return {"commitArtifact": {"artifact": {"id": key, "digest": digest}}}


def use_artifact(answers: "Answers", variables: Variables) -> Data:
    """A run names its input."""
    given = variables["input"]
    run = answers.store.run(given["runName"])
    artifact = answers.store.artifacts[given["artifactID"]]
    used = f"{artifact['name']}:v{artifact['version']}"
    if used not in run["used_artifacts"]:
        run["used_artifacts"].append(used)
    return {"useArtifact": {"artifact": {"id": given["artifactID"], "digest": "", "state": ""}}}


def artifact_type(answers: "Answers", variables: Variables) -> Data:
    """The type that an artifact's name already has."""
    name = variables["name"].split(":")[0]
    for artifact in answers.store.artifacts.values():
        if artifact["name"] == name:
            found = {"artifactType": {"name": artifact["type"]}}
            return {"project": {"artifact": found}}
    return {"project": {"artifact": None}}


def client_ids(answers: "Answers", variables: Variables) -> Data:
    """An artifact of this session, by the client's own id."""
    for key, artifact in answers.store.artifacts.items():
        if artifact["client_id"] == variables["clientID"]:
            return {"clientIDMapping": {"serverID": key}}
    return {"clientIDMapping": None}


def artifact_fields(answers: "Answers", key: str) -> Data:
    """An artifact as the public API asks for it."""
    artifact = answers.store.artifacts[key]
    project = {"id": "p", "internalId": "p", "name": "p", "entity": {"name": ENTITY}}
    collection = {
        "__typename": "ArtifactSequence",
        "name": artifact["name"],
        "project": project,
    }
    aliases = [
        {
            "__typename": "ArtifactAlias",
            "id": f"{key}-{alias}",
            "alias": alias,
            "artifactCollection": collection,
        }
        for alias in artifact["aliases"]
    ]
    return {
        "__typename": "Artifact",
        "id": key,
        "artifactSequence": collection,
        "versionIndex": artifact["version"],
        "artifactType": {"name": artifact["type"]},
        "description": None,
        "metadata": artifact["metadata"] or "{}",
        "ttlDurationSeconds": -2,
        "ttlIsInherited": True,
        "tags": [],
        "historyStep": None,
        "state": artifact["state"],
        "size": 1,
        "digest": artifact["digest"],
        "commitHash": "0",
        "fileCount": 1,
        "createdAt": "2026-01-01T00:00:00Z",
        "updatedAt": "2026-01-01T00:00:00Z",
        "aliases": aliases,
    }


def artifact_by_id(answers: "Answers", variables: Variables) -> Data:
    """An artifact by the server's id."""
    return {"artifact": artifact_fields(answers, variables["id"])}


def artifact_by_name(answers: "Answers", variables: Variables) -> Data:
    """An artifact by name and alias or version."""
    name, _, alias = variables["name"].partition(":")
    for key, artifact in answers.store.artifacts.items():
        version = f"v{artifact['version']}"
        if artifact["name"] == name and alias in (*artifact["aliases"], version):
            fields = artifact_fields(answers, key)
            membership = {
                "__typename": "ArtifactCollectionMembership",
                "id": f"{key}-membership",
                "versionIndex": artifact["version"],
                "createdAt": "2026-01-01T00:00:00Z",
                "aliases": fields["aliases"],
                "artifactCollection": fields["artifactSequence"],
                "artifact": fields,
            }
            return {"project": {"artifactCollectionMembership": membership}}
    return {"project": {"artifactCollectionMembership": None}}


def input_artifacts(answers: "Answers", variables: Variables) -> Data:
    """What a run named as its input."""
    used = answers.store.run(variables["run"])["used_artifacts"]
    keys = [
        key
        for key, artifact in answers.store.artifacts.items()
        if f"{artifact['name']}:v{artifact['version']}" in used
    ]
    artifacts = {
        "totalCount": len(keys),
        "pageInfo": {"__typename": "PageInfo", "endCursor": None, "hasNextPage": False},
        "edges": [{"node": artifact_fields(answers, key)} for key in keys],
    }
    return {"project": {"run": {"artifacts": artifacts}}}


def identifier(kind: str, number: int) -> str:
    """An id as GraphQL servers make them."""
    return base64.b64encode(f"{kind}:{number}".encode()).decode().rstrip("=")
