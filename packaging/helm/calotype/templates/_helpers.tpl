{{- define "calotype.labels" -}}
app.kubernetes.io/name: calotype
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
{{- define "calotype.name" -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- end }}
