"""The fields of KubeRay's resources that the manifests use, from the API reference of `ray.io/v1`.

Closed: a field that is not here is a mistake in the template or a hole in this list. Pod templates
are checked by Kubernetes' own schemas.
"""

from typing import Any

TEXT = {"type": "string"}
COUNT = {"type": "integer", "minimum": 0}
FLAG = {"type": "boolean"}


def record(required: list[str], **fields: Any) -> dict[str, Any]:
    """An object with these fields and no others."""
    return {
        "type": "object",
        "properties": fields,
        "required": required,
        "additionalProperties": False,
    }


START_PARAMS = {"type": "object", "additionalProperties": TEXT}
POD_TEMPLATE = {"type": "object", "required": ["spec"]}

CLUSTER_SPEC = record(
    ["headGroupSpec", "rayVersion"],
    rayVersion={"type": "string", "pattern": r"^\d+\.\d+\.\d+$"},
    suspend=FLAG,
    authOptions=record(
        ["mode"], mode={"enum": ["disabled", "token"]}, enableK8sTokenAuth=FLAG, secretName=TEXT
    ),
    enableInTreeAutoscaling=FLAG,
    autoscalerOptions=record(
        [],
        idleTimeoutSeconds=COUNT,
        upscalingMode={"enum": ["Default", "Aggressive", "Conservative"]},
        version={"enum": ["v1", "v2"]},
    ),
    headGroupSpec=record(
        ["rayStartParams", "template"],
        rayStartParams=START_PARAMS,
        serviceType=TEXT,
        template=POD_TEMPLATE,
    ),
    workerGroupSpecs={
        "type": "array",
        "items": record(
            ["groupName", "maxReplicas", "minReplicas", "rayStartParams", "template"],
            groupName=TEXT,
            replicas=COUNT,
            minReplicas=COUNT,
            maxReplicas=COUNT,
            idleTimeoutSeconds=COUNT,
            numOfHosts=COUNT,
            rayStartParams=START_PARAMS,
            template=POD_TEMPLATE,
        ),
    },
)

JOB_SPEC = record(
    ["entrypoint"],
    activeDeadlineSeconds=COUNT,
    backoffLimit=COUNT,
    clusterSelector={"type": "object", "additionalProperties": TEXT},
    entrypoint=TEXT,
    entrypointNumCpus={"type": "number"},
    entrypointNumGpus={"type": "number"},
    entrypointResources=TEXT,
    jobId=TEXT,
    metadata={"type": "object", "additionalProperties": TEXT},
    rayClusterSpec=CLUSTER_SPEC,
    runtimeEnvYAML=TEXT,
    shutdownAfterJobFinishes=FLAG,
    submissionMode={"enum": ["K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"]},
    suspend=FLAG,
    ttlSecondsAfterFinished=COUNT,
)

RESOURCES = {
    kind: record(
        ["apiVersion", "kind", "metadata", "spec"],
        apiVersion={"const": "ray.io/v1"},
        kind={"const": kind},
        metadata=record(["name"], name=TEXT, namespace=TEXT, labels=START_PARAMS),
        spec=spec,
    )
    for kind, spec in (("RayCluster", CLUSTER_SPEC), ("RayJob", JOB_SPEC))
}
