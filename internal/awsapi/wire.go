package awsapi

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"maps"
	"net/http"
	"strconv"
	"time"
)

// wire is an AWS protocol: how results and errors are written.
type wire interface {
	// result writes the answer of an operation; an error says that v could not
	// be encoded and nothing was written.
	result(w http.ResponseWriter, requestID string, op operation, v any) error
	fault(w http.ResponseWriter, requestID string, f *fault)
}

// restJSON is the protocol of iot and iot-data.
type restJSON struct{}

func (restJSON) result(w http.ResponseWriter, _ string, op operation, v any) error {
	if v == nil {
		w.WriteHeader(op.status)
		return nil
	}
	body, err := encode(v)
	if err != nil {
		return err
	}
	writeBody(w, op.status, "application/json", body)
	return nil
}

func (restJSON) fault(w http.ResponseWriter, _ string, f *fault) {
	w.Header().Set("x-amzn-ErrorType", f.code)
	writeFaultBody(w, "application/json", f, map[string]any{"message": f.message})
}

// lambdaJSON is Lambda's dialect of it: errors have capital members and a type.
type lambdaJSON struct{ restJSON }

func (lambdaJSON) fault(w http.ResponseWriter, _ string, f *fault) {
	w.Header().Set("x-amzn-ErrorType", f.code)
	side := "User"
	if f.status() >= http.StatusInternalServerError {
		side = "Service"
	}
	writeFaultBody(w, "application/json", f, map[string]any{"Type": side, "Message": f.message})
}

// targetJSON is the protocol of the services that X-Amz-Target selects, in
// version 1.0 or 1.1.
type targetJSON struct{ version string }

func (p targetJSON) contentType() string { return "application/x-amz-json-" + p.version }

func (p targetJSON) result(w http.ResponseWriter, _ string, op operation, v any) error {
	body, err := encode(v)
	if err != nil {
		return err
	}
	writeBody(w, op.status, p.contentType(), body)
	return nil
}

func (p targetJSON) fault(w http.ResponseWriter, _ string, f *fault) {
	w.Header().Set("x-amzn-ErrorType", f.code)
	writeFaultBody(w, p.contentType(), f, map[string]any{"__type": f.code, "message": f.message})
}

// query is the protocol of form requests and XML answers, in the namespace of
// its service.
type query struct{ namespace string }

// queryMetadata ends every answer of the query protocol.
type queryMetadata struct {
	RequestID string `xml:"RequestId"`
}

func (p query) result(w http.ResponseWriter, requestID string, op operation, v any) error {
	response := xml.StartElement{Name: xml.Name{Space: p.namespace, Local: op.name + "Response"}}
	var body bytes.Buffer
	out := xml.NewEncoder(&body)
	if err := out.EncodeToken(response); err != nil {
		return err
	}
	if v != nil {
		if err := out.EncodeElement(v, xml.StartElement{Name: xml.Name{Local: op.name + "Result"}}); err != nil {
			return err
		}
	}
	if err := out.EncodeElement(queryMetadata{requestID}, xml.StartElement{Name: xml.Name{Local: "ResponseMetadata"}}); err != nil {
		return err
	}
	if err := out.EncodeToken(response.End()); err != nil {
		return err
	}
	if err := out.Close(); err != nil {
		return err
	}
	writeBody(w, op.status, "text/xml", body.Bytes())
	return nil
}

func (p query) fault(w http.ResponseWriter, requestID string, f *fault) {
	type errorXML struct {
		Type    string
		Code    string
		Message string
	}
	side := "Sender"
	if f.status() >= http.StatusInternalServerError {
		side = "Receiver"
	}
	body, err := xml.Marshal(struct {
		XMLName   xml.Name
		Error     errorXML
		RequestID string `xml:"RequestId"`
	}{xml.Name{Space: p.namespace, Local: "ErrorResponse"}, errorXML{side, f.code, f.message}, requestID})
	if err != nil { // three strings always encode
		w.WriteHeader(f.status())
		return
	}
	writeBody(w, f.status(), "text/xml", body)
}

func writeFaultBody(w http.ResponseWriter, contentType string, f *fault, members map[string]any) {
	maps.Copy(members, f.members)
	body, err := encode(members)
	if err != nil { // nothing better can be said
		w.WriteHeader(f.status())
		return
	}
	writeBody(w, f.status(), contentType, body)
}

func writeBody(w http.ResponseWriter, status int, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client is gone: nobody is left to tell
}

// encode writes JSON as AWS does, with <, > and & as they are.
func encode(v any) ([]byte, error) {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(body.Bytes(), []byte("\n")), nil
}

// empty is the answer {} of operations whose output has no members.
type empty struct{}

// epoch is a time on the wire: seconds since 1970 with three decimals.
type epoch time.Time

// MarshalJSON implements json.Marshaler.
func (t epoch) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(time.Time(t).UnixMilli())/1000, 'f', 3, 64), nil
}
