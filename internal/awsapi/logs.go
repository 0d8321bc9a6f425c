package awsapi

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// maxLogsBody is the largest request of CloudWatch Logs, in bytes: a full batch of
// 1 MB, in JSON that escapes much of it.
const maxLogsBody = 6 << 20

// Logs is what CloudWatch Logs stands on. Without it the service is not there.
type Logs struct {
	Groups  LogGroups
	Streams LogStreams
	Events  LogEvents
}

func (l *Logs) complete() bool { return l.Groups != nil && l.Streams != nil && l.Events != nil }

// LogGroups are the log groups. CreateGroup fails with iot.ErrExists.
type LogGroups interface {
	CreateGroup(iot.LogGroup) error
	Group(name string) (iot.LogGroup, error)
	Groups(iot.LogGroupQuery) ([]iot.LogGroup, error)
	UpdateGroup(name string, change func(*iot.LogGroup) error) error
	DeleteGroup(name string) error
}

// LogStreams are the streams of the log groups. CreateStream fails with
// iot.ErrExists.
type LogStreams interface {
	CreateStream(group, name string) error
	Streams(iot.LogStreamQuery) ([]iot.LogStream, error)
	DeleteStream(group, name string) error
}

// LogEvents are the events of the streams.
type LogEvents interface {
	// PutEvents takes events in the order of their time; the answer says which
	// were too old or too new to be taken.
	PutEvents(group, stream string, events []iot.LogEvent) (iot.LogRejections, error)
	Events(iot.LogQuery) (iot.LogPage, error)
}

func logsWords() vocabulary {
	words := iotWords()
	words.invalid, words.conflict, words.version = "InvalidParameterException", "OperationAbortedException", "OperationAbortedException"
	words.denied = "AccessDeniedException"
	words.status = func(code string) int {
		switch code {
		case words.internal:
			return http.StatusInternalServerError
		case words.overloaded:
			return http.StatusServiceUnavailable
		case codeTooLarge:
			return http.StatusRequestEntityTooLarge
		}
		return http.StatusBadRequest
	}
	return words
}

func (a *API) logsService() *service {
	svc := targetService("logs", "Amazon CloudWatch Logs", "Logs_20140328", targetJSON{"1.1"}, logsWords(),
		slices.Concat(a.logGroupOperations(), a.logStreamOperations(), a.logEventOperations(), a.logTagOperations()))
	svc.maxBody = maxLogsBody
	return svc
}

func (a *API) logGroupOperations() []operation {
	return []operation{
		{name: "CreateLogGroup", status: 200, handle: a.createLogGroup},
		{name: "DeleteLogGroup", status: 200, handle: a.deleteLogGroup},
		{name: "DescribeLogGroups", status: 200, handle: a.describeLogGroups},
		{name: "PutRetentionPolicy", status: 200, handle: a.putRetentionPolicy},
		{name: "DeleteRetentionPolicy", status: 200, handle: a.deleteRetentionPolicy},
	}
}

// checkLogGroup checks the name of a log group, which is named member.
func checkLogGroup(member, name string) error {
	return constraint{1, 512, "_-/.#"}.check(member, name)
}

func checkLogStream(member, name string) error {
	switch n := utf8.RuneCountInString(name); {
	case n < 1:
		return unmet(member, name, "have length greater than or equal to 1")
	case n > 512:
		return unmet(member, name, "have length less than or equal to 512")
	case strings.ContainsAny(name, ":*"):
		return unmet(member, name, "satisfy regular expression pattern: [^:*]*")
	}
	return nil
}

// logGroupName returns the group that a request names by name, or by identifier,
// which may be its ARN too.
func (a *API) logGroupName(name, identifier string) (string, error) {
	switch {
	case name != "" && identifier != "":
		return "", fmt.Errorf("logGroupName and logGroupIdentifier exclude each other: %w", iot.ErrInvalid)
	case strings.HasPrefix(identifier, "arn:"):
		return a.logGroupOf(identifier)
	case identifier != "":
		return identifier, checkLogGroup("logGroupIdentifier", identifier)
	}
	return name, checkLogGroup("logGroupName", name)
}

// logGroupOf returns the group of an ARN, with or without :* at its end.
func (a *API) logGroupOf(arn string) (string, error) {
	resource, err := a.cfg.Account.Resource("logs", arn)
	if err != nil {
		return "", err
	}
	name, ok := strings.CutPrefix(strings.TrimSuffix(resource, ":*"), "log-group:")
	if !ok {
		return "", fmt.Errorf("%q is not the ARN of a log group: %w", arn, iot.ErrInvalid)
	}
	return name, checkLogGroup("arn", name)
}

func (a *API) logGroupARN(name string) string {
	return a.cfg.Account.ARN("logs", "log-group:"+name)
}

func (a *API) createLogGroup(_ context.Context, q *request) (any, error) {
	var in struct {
		LogGroupName              string            `json:"logGroupName"`
		KMSKeyID                  string            `json:"kmsKeyId"`
		Tags                      map[string]string `json:"tags"`
		LogGroupClass             string            `json:"logGroupClass"`
		DeletionProtectionEnabled bool              `json:"deletionProtectionEnabled"`
	}
	if err := q.decode(&in); err != nil {
		return nil, err
	}
	if err := checkLogGroup("logGroupName", in.LogGroupName); err != nil {
		return nil, err
	}
	err := refuseMembers(present{"kmsKeyId", in.KMSKeyID != ""}, present{"deletionProtectionEnabled", in.DeletionProtectionEnabled},
		present{"logGroupClass " + in.LogGroupClass, in.LogGroupClass != "" && in.LogGroupClass != "STANDARD"})
	if err != nil {
		return nil, err
	}
	if err := checkLogTags(in.Tags); err != nil {
		return nil, err
	}
	return empty{}, a.cfg.Logs.Groups.CreateGroup(iot.LogGroup{Name: in.LogGroupName, Tags: in.Tags})
}

// decodeLogGroup reads a request whose only member is the name of a group.
func (q *request) decodeLogGroup() (string, error) {
	var in struct {
		LogGroupName string `json:"logGroupName"`
	}
	if err := q.decode(&in); err != nil {
		return "", err
	}
	return in.LogGroupName, checkLogGroup("logGroupName", in.LogGroupName)
}

func (a *API) deleteLogGroup(_ context.Context, q *request) (any, error) {
	name, err := q.decodeLogGroup()
	if err != nil {
		return nil, err
	}
	return empty{}, a.cfg.Logs.Groups.DeleteGroup(name)
}

// logGroupAnswer is a group in DescribeLogGroups.
type logGroupAnswer struct {
	LogGroupName      string `json:"logGroupName"`
	CreationTime      int64  `json:"creationTime"`
	RetentionInDays   int    `json:"retentionInDays,omitempty"`
	MetricFilterCount int    `json:"metricFilterCount"`
	ARN               string `json:"arn"`
	StoredBytes       int64  `json:"storedBytes"`
	LogGroupClass     string `json:"logGroupClass"`
	LogGroupARN       string `json:"logGroupArn"`
}

func (a *API) logGroupAnswer(g *iot.LogGroup) logGroupAnswer {
	arn := a.logGroupARN(g.Name)
	return logGroupAnswer{
		LogGroupName: g.Name, CreationTime: g.Created.UnixMilli(), RetentionInDays: g.RetentionDays,
		ARN: arn + ":*", StoredBytes: g.StoredBytes, LogGroupClass: "STANDARD", LogGroupARN: arn,
	}
}

func (a *API) describeLogGroups(_ context.Context, q *request) (any, error) {
	var in struct {
		AccountIdentifiers    []string `json:"accountIdentifiers"`
		LogGroupNamePrefix    string   `json:"logGroupNamePrefix"`
		LogGroupNamePattern   string   `json:"logGroupNamePattern"`
		NextToken             string   `json:"nextToken"`
		Limit                 *int     `json:"limit"`
		IncludeLinkedAccounts bool     `json:"includeLinkedAccounts"`
		LogGroupClass         string   `json:"logGroupClass"`
		LogGroupIdentifiers   []string `json:"logGroupIdentifiers"`
	}
	if err := q.decode(&in); err != nil {
		return nil, err
	}
	err := refuseMembers(present{"accountIdentifiers", in.AccountIdentifiers != nil}, present{"includeLinkedAccounts", in.IncludeLinkedAccounts},
		present{"logGroupIdentifiers", in.LogGroupIdentifiers != nil}, present{"logGroupClass " + in.LogGroupClass, in.LogGroupClass != "" && in.LogGroupClass != "STANDARD"})
	if err != nil {
		return nil, err
	}
	if in.LogGroupNamePrefix != "" && in.LogGroupNamePattern != "" {
		return nil, fmt.Errorf("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters: %w", iot.ErrInvalid)
	}
	p, err := bodyPage(in.NextToken, in.Limit, 50, 50)
	if err != nil {
		return nil, err
	}
	groups, err := a.cfg.Logs.Groups.Groups(iot.LogGroupQuery{
		Prefix: in.LogGroupNamePrefix, Contains: in.LogGroupNamePattern, After: p.after, Limit: p.size + 1,
	})
	if err != nil {
		return nil, err
	}
	groups, next := take(p, groups, func(g *iot.LogGroup) string { return g.Name })
	return struct {
		LogGroups []logGroupAnswer `json:"logGroups"`
		NextToken string           `json:"nextToken,omitempty"`
	}{each(groups, a.logGroupAnswer), next}, nil
}

// retentions are the days that PutRetentionPolicy takes.
func retentions() []int {
	return []int{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}
}

func (a *API) putRetentionPolicy(_ context.Context, q *request) (any, error) {
	var in struct {
		LogGroupName    string `json:"logGroupName"`
		RetentionInDays *int   `json:"retentionInDays"`
	}
	if err := q.decode(&in); err != nil {
		return nil, err
	}
	if in.RetentionInDays == nil {
		return nil, required("retentionInDays")
	}
	if err := checkLogGroup("logGroupName", in.LogGroupName); err != nil {
		return nil, err
	}
	if !slices.Contains(retentions(), *in.RetentionInDays) {
		return nil, unmet("retentionInDays", fmt.Sprint(*in.RetentionInDays), fmt.Sprintf("satisfy enum value set: %v", retentions()))
	}
	return empty{}, a.setRetention(in.LogGroupName, *in.RetentionInDays)
}

func (a *API) deleteRetentionPolicy(_ context.Context, q *request) (any, error) {
	name, err := q.decodeLogGroup()
	if err != nil {
		return nil, err
	}
	return empty{}, a.setRetention(name, 0)
}

func (a *API) setRetention(group string, days int) error {
	return a.cfg.Logs.Groups.UpdateGroup(group, func(g *iot.LogGroup) error {
		g.RetentionDays = days
		return nil
	})
}

// tagRune reports whether a tag's key or value may have a character.
func tagRune(r rune) bool {
	return unicode.In(r, unicode.L, unicode.Z, unicode.N) || strings.ContainsRune("_.:/=+-@", r)
}
