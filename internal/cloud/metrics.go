package cloud

import (
	"encoding/json"
)

// namespace is where CloudWatch shows the metrics.
const namespace = "Fieldline"

// metric is one value and its unit, as CloudWatch names it.
type metric struct {
	name, unit string
	value      float64
}

func count(name string, n int64) metric { return metric{name, "Count", float64(n)} }

// emit writes metrics as one line of CloudWatch's embedded metric format.
func (f *Function) emit(in *invocation, metrics ...metric) {
	type definition struct {
		Name string
		Unit string
	}
	definitions := make([]definition, len(metrics))
	line := map[string]any{"FunctionName": f.settings.function, "requestId": in.call.RequestID}
	for i, m := range metrics {
		definitions[i] = definition{m.name, m.unit}
		line[m.name] = m.value
	}
	line["_aws"] = map[string]any{
		"Timestamp": in.call.Now.UnixMilli(),
		"CloudWatchMetrics": []any{map[string]any{
			"Namespace": namespace, "Dimensions": [][]string{{"FunctionName"}}, "Metrics": definitions,
		}},
	}
	text, _ := json.Marshal(line) // plain data always marshals
	if _, err := f.out.Write(append(text, '\n')); err != nil {
		in.log.Warn("metrics are lost", "err", err)
	}
}
