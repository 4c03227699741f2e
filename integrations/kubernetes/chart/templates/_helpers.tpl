{{/* The name of everything that the chart makes. */}}
{{- define "runward.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What tells this release's pods from all others. Never changes: a DaemonSet's selector can't. */}}
{{- define "runward.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "runward.labels" -}}
{{ include "runward.selector" . }}
app.kubernetes.io/component: agent
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{- define "runward.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "runward.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name is missing: name the account to use, or leave serviceAccount.create at true" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "runward.image" -}}
{{- $repository := required "image.repository is missing: build the image with the Dockerfile beside the chart, push it, and say where: --set image.repository=registry.example.com/ci/runward" .Values.image.repository -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* agent.yml: what was given, and the paths of what the chart mounts beside it. */}}
{{- define "runward.agent" -}}
{{- $agent := deepCopy .Values.agent -}}
{{- $server := get $agent "server" -}}
{{- if and (eq (get $agent "egress-policy") "block") (not (trim .Values.policy)) -}}
{{- fail "agent.egress-policy is block, and there is no policy: every job would be cut off. Give one: --set-file policy=egress.yml" -}}
{{- end -}}
{{- if and $server (not .Values.keySecret.name) -}}
{{- fail "agent.server is given, and no key for it: make a secret with the key, and name it: --set keySecret.name=runward" -}}
{{- end -}}
{{- if and .Values.keySecret.name (not $server) -}}
{{- fail "keySecret.name is given, and no server that the key is for: --set agent.server=https://runward.example.com" -}}
{{- end -}}
{{- if trim .Values.policy -}}
{{- $_ := set $agent "policy" "/etc/runward/policy.yml" -}}
{{- end -}}
{{- if .Values.keySecret.name -}}
{{- $_ := set $agent "key-file" "/etc/runward/key" -}}
{{- end -}}
{{- toYaml $agent -}}
{{- end -}}

{{/* A probe: what was given, by the agent's own word. */}}
{{- define "runward.probe" -}}
exec:
  command: [/usr/bin/runward, agent, status]
{{ toYaml . }}
{{- end -}}
