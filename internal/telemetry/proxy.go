package telemetry

import (
	"encoding/json"
	"net/http"
)

// ProxyResponse is what a function behind API Gateway answers (AWS_PROXY).
type ProxyResponse struct {
	StatusCode int               `json:"statusCode"`
	Headers    map[string]string `json:"headers,omitempty"`
	Body       string            `json:"body,omitempty"`
}

// JSON is the answer as the function returns it.
func (p ProxyResponse) JSON() []byte {
	text, _ := json.Marshal(p) // texts and a number always marshal
	return text
}

// OK is the answer of a function that has nothing to say.
func OK() ProxyResponse { return ProxyResponse{StatusCode: http.StatusOK} }

// Refused is what ProcessIoTData answers for an event that can never be stored. It
// is no error of the invocation: AWS would make it twice more for nothing.
func Refused(reason error) ProxyResponse {
	body, _ := json.Marshal(map[string]string{"message": reason.Error()}) // a text always marshals
	return ProxyResponse{StatusCode: http.StatusBadRequest, Body: string(body)}
}
