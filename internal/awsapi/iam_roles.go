package awsapi

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

func (a *API) roleOperations() []operation {
	return []operation{
		{name: "CreateRole", status: 200, handle: a.createRole},
		{name: "GetRole", status: 200, handle: a.getRole},
		{name: "ListRoles", status: 200, handle: a.listRoles},
		{name: "UpdateRole", status: 200, handle: a.updateRole},
		{name: "UpdateAssumeRolePolicy", status: 200, handle: a.updateAssumeRolePolicy},
		{name: "DeleteRole", status: 200, handle: a.deleteRole},
		{name: "TagRole", status: 200, handle: a.tagRole},
		{name: "UntagRole", status: 200, handle: a.untagRole},
		{name: "ListRoleTags", status: 200, handle: a.listRoleTags},
	}
}

// roleXML is IAM's Role.
type roleXML struct {
	Path                     string
	RoleName                 string
	RoleID                   string `xml:"RoleId"`
	ARN                      string `xml:"Arn"`
	CreateDate               string
	AssumeRolePolicyDocument string
	Description              string `xml:",omitempty"`
	MaxSessionDuration       int
	Tags                     *members[tagXML] // only where one role is asked for
}

// tagXML is IAM's Tag.
type tagXML struct{ Key, Value string }

func roleAnswer(r *iot.Role) roleXML {
	return roleXML{
		Path: r.Path, RoleName: r.Name, RoleID: r.ID, ARN: r.ARN, CreateDate: iamTime(r.Created),
		AssumeRolePolicyDocument: iamDocument(r.Trust), Description: r.Description, MaxSessionDuration: r.MaxSession,
	}
}

// oneRole is the answer about one role.
type oneRole struct{ Role roleXML }

func roleResult(r *iot.Role) oneRole {
	answer := roleAnswer(r)
	if len(r.Tags) > 0 {
		answer.Tags = &members[tagXML]{tagList(r.Tags)}
	}
	return oneRole{answer}
}

func tagList(tags map[string]string) []tagXML {
	var list []tagXML
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		list = append(list, tagXML{key, tags[key]})
	}
	return list
}

func (a *API) createRole(_ context.Context, q *request) (any, error) {
	f := q.iamForm()
	name, err := f.roleName()
	if err != nil {
		return nil, err
	}
	if err := refuseMembers(present{"PermissionsBoundary", f.Has("PermissionsBoundary")}); err != nil {
		return nil, err
	}
	r := iot.Role{Name: name}
	var errs [5]error
	r.Path, errs[0] = f.path()
	r.Trust, errs[1] = f.document("AssumeRolePolicyDocument")
	r.Description, errs[2] = f.description()
	r.MaxSession, errs[3] = f.number("MaxSessionDuration", 3600, 43200, 3600)
	r.Tags, errs[4] = f.tags()
	if err := firstOf(errs[:]...); err != nil {
		return nil, err
	}
	if r, err = a.cfg.IAM.Roles.CreateRole(r); err != nil {
		return nil, malformed(err)
	}
	return roleResult(&r), nil
}

// firstOf returns the first error that is one.
func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// role returns the role that a request names.
func (a *API) role(f iamForm) (iot.Role, error) {
	name, err := f.roleName()
	if err != nil {
		return iot.Role{}, err
	}
	return a.cfg.IAM.Roles.Role(name)
}

func (a *API) getRole(_ context.Context, q *request) (any, error) {
	r, err := a.role(q.iamForm())
	if err != nil {
		return nil, err
	}
	return roleResult(&r), nil
}

func (a *API) listRoles(_ context.Context, q *request) (any, error) {
	f := q.iamForm()
	all, err := a.cfg.IAM.Roles.Roles()
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(r iot.Role) bool { return !strings.HasPrefix(r.Path, f.Get("PathPrefix")) })
	roles, end, err := page(f, all, func(r *iot.Role) string { return r.Name })
	return struct {
		Roles members[roleXML]
		iamPage
	}{members[roleXML]{each(roles, roleAnswer)}, end}, err
}

// updateRole changes what the request has; the rest stays.
func (a *API) updateRole(_ context.Context, q *request) (any, error) {
	f := q.iamForm()
	name, err := f.roleName()
	if err != nil {
		return nil, err
	}
	description, err := f.description()
	if err != nil {
		return nil, err
	}
	session, err := f.number("MaxSessionDuration", 3600, 43200, 3600)
	if err != nil {
		return nil, err
	}
	_, err = a.cfg.IAM.Roles.UpdateRole(name, func(r *iot.Role) error {
		if f.Has("Description") {
			r.Description = description
		}
		if f.Has("MaxSessionDuration") {
			r.MaxSession = session
		}
		return nil
	})
	return empty{}, err
}

func (a *API) updateAssumeRolePolicy(_ context.Context, q *request) (any, error) {
	f := q.iamForm()
	name, err := f.roleName()
	if err != nil {
		return nil, err
	}
	document, err := f.document("PolicyDocument")
	if err != nil {
		return nil, err
	}
	_, err = a.cfg.IAM.Roles.UpdateRole(name, func(r *iot.Role) error {
		r.Trust = document
		return nil
	})
	return nil, malformed(err)
}

func (a *API) deleteRole(_ context.Context, q *request) (any, error) {
	name, err := q.iamForm().roleName()
	if err != nil {
		return nil, err
	}
	return nil, a.cfg.IAM.Roles.DeleteRole(name)
}

func (a *API) tagRole(_ context.Context, q *request) (any, error) {
	f := q.iamForm()
	name, err := f.roleName()
	if err != nil {
		return nil, err
	}
	tags, err := f.tags()
	if err != nil {
		return nil, err
	}
	if len(tags) == 0 {
		return nil, required("tags")
	}
	_, err = a.cfg.IAM.Roles.UpdateRole(name, func(r *iot.Role) error {
		if r.Tags == nil {
			r.Tags = make(map[string]string)
		}
		maps.Copy(r.Tags, tags)
		return nil
	})
	return nil, err
}

func (a *API) untagRole(_ context.Context, q *request) (any, error) {
	f := q.iamForm()
	name, err := f.roleName()
	if err != nil {
		return nil, err
	}
	if !f.Has("TagKeys.member.1") {
		return nil, required("tagKeys")
	}
	_, err = a.cfg.IAM.Roles.UpdateRole(name, func(r *iot.Role) error {
		for n := 1; f.Has(fmt.Sprintf("TagKeys.member.%d", n)); n++ {
			delete(r.Tags, f.Get(fmt.Sprintf("TagKeys.member.%d", n)))
		}
		return nil
	})
	return nil, err
}

func (a *API) listRoleTags(_ context.Context, q *request) (any, error) {
	f := q.iamForm()
	r, err := a.role(f)
	if err != nil {
		return nil, err
	}
	all := tagList(r.Tags)
	slices.SortFunc(all, func(a, b tagXML) int { return strings.Compare(strings.ToLower(a.Key), strings.ToLower(b.Key)) })
	tags, end, err := page(f, all, func(t *tagXML) string { return t.Key })
	return struct {
		Tags members[tagXML]
		iamPage
	}{members[tagXML]{tags}, end}, err
}
