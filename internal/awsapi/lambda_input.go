package awsapi

import (
	"fmt"
	"strings"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// functionInput is what CreateFunction and UpdateFunctionConfiguration share. A
// nil member was not sent.
type functionInput struct {
	Runtime, Role, Handler, Description *string
	Timeout, MemorySize                 *int
	Environment                         *functionEnvironment
	EphemeralStorage                    *sized
	TracingConfig                       tracing
	SnapStart                           struct{ ApplyOn string }
	LoggingConfig                       struct{ LogFormat, LogGroup, ApplicationLogLevel, SystemLogLevel string }

	// Members that Fieldline refuses unless they are empty.
	VpcConfig              struct{ SubnetIds, SecurityGroupIds []string }
	DeadLetterConfig       struct{ TargetArn string }
	KMSKeyArn              string
	Layers                 []string
	FileSystemConfigs      []any
	ImageConfig            any
	CapacityProviderConfig any
	DurableConfig          any
}

func (in *functionInput) check(group string) error {
	err := refuseMembers(
		present{"VpcConfig", len(in.VpcConfig.SubnetIds)+len(in.VpcConfig.SecurityGroupIds) > 0},
		present{"DeadLetterConfig", in.DeadLetterConfig.TargetArn != ""}, present{"KMSKeyArn", in.KMSKeyArn != ""},
		present{"Layers", len(in.Layers) > 0}, present{"FileSystemConfigs", len(in.FileSystemConfigs) > 0},
		present{"ImageConfig", in.ImageConfig != nil}, present{"CapacityProviderConfig", in.CapacityProviderConfig != nil},
		present{"DurableConfig", in.DurableConfig != nil},
		present{"TracingConfig.Mode=Active", in.TracingConfig.Mode == "Active"},
		present{"SnapStart.ApplyOn", in.SnapStart.ApplyOn != "" && in.SnapStart.ApplyOn != "None"},
		present{"LoggingConfig.LogFormat=JSON", in.LoggingConfig.LogFormat == "JSON"},
		present{"LoggingConfig.LogGroup", in.LoggingConfig.LogGroup != "" && in.LoggingConfig.LogGroup != group},
		present{"LoggingConfig.ApplicationLogLevel", in.LoggingConfig.ApplicationLogLevel != ""},
		present{"LoggingConfig.SystemLogLevel", in.LoggingConfig.SystemLogLevel != ""})
	if err != nil {
		return err
	}
	if in.Role != nil {
		if err := checkRole(*in.Role); err != nil {
			return err
		}
	}
	if in.Description != nil && len([]rune(*in.Description)) > 256 {
		return unmet("description", *in.Description, "have length less than or equal to 256")
	}
	if in.Handler != nil && (len(*in.Handler) > 128 || strings.ContainsAny(*in.Handler, " \t\r\n")) {
		return unmet("handler", *in.Handler, `satisfy regular expression pattern: [^\s]+`)
	}
	for member, value := range map[string]*int{"timeout": in.Timeout, "memorySize": in.MemorySize} {
		if value != nil && *value < 1 {
			return unmet(member, fmt.Sprint(*value), "have value greater than or equal to 1")
		}
	}
	return nil
}

func checkRole(role string) error {
	parts := strings.SplitN(role, ":", 6)
	if len(parts) == 6 && parts[0] == "arn" && strings.HasPrefix(parts[1], "aws") && parts[2] == "iam" && parts[3] == "" &&
		len(parts[4]) == 12 && strings.Trim(parts[4], "0123456789") == "" && strings.HasPrefix(parts[5], "role/") &&
		(constraint{6, 600, "_+=,.@-/"}).check("", parts[5]) == nil {
		return nil
	}
	return unmet("role", role, `satisfy regular expression pattern: arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+`)
}

// apply sets what was sent.
func (in *functionInput) apply(f *iot.Function) {
	set(&f.Runtime, in.Runtime)
	set(&f.Role, in.Role)
	set(&f.Handler, in.Handler)
	set(&f.Description, in.Description)
	set(&f.Timeout, in.Timeout)
	set(&f.Memory, in.MemorySize)
	if in.Environment != nil {
		f.Environment = in.Environment.Variables
	}
	if in.EphemeralStorage != nil {
		f.Ephemeral = in.EphemeralStorage.Size
	}
}

func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// codeInput is where code comes from: only a zip in the request.
type codeInput struct {
	ZipFile []byte

	// Members that Fieldline refuses.
	S3Bucket, S3Key, S3ObjectVersion, ImageURI, SourceKMSKeyArn string
}

func (in *codeInput) check() error {
	err := refuseMembers(present{"S3Bucket", in.S3Bucket != ""}, present{"S3Key", in.S3Key != ""},
		present{"S3ObjectVersion", in.S3ObjectVersion != ""}, present{"ImageUri", in.ImageURI != ""},
		present{"SourceKMSKeyArn", in.SourceKMSKeyArn != ""})
	if err == nil && len(in.ZipFile) == 0 {
		//lint:ignore ST1005 AWS's sentence
		err = fmt.Errorf("Please provide a source for function code: ZipFile with a zip in it: %w", iot.ErrInvalid)
	}
	return err
}

func architecture(list []string) (string, error) {
	if len(list) > 1 {
		return "", fmt.Errorf("architectures has %d entries, a function has one: %w", len(list), iot.ErrInvalid)
	}
	return strings.Join(list, ""), nil
}
