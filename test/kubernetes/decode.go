// Reads Kubernetes objects as an API server would, as far as that goes without one: objects of Kubernetes itself and of the
// Prometheus Operator are decoded strictly into their own types, other custom resources are checked against their definitions
// (unknown fields, types, bounds, rules).
// What admission, quotas and controllers would say is not known here.
//
//	decode FOLDER-OF-DEFINITIONS < objects.yaml
//
// It prints an object for each, with its problems, as JSON.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/runtime"
	kubernetesjson "k8s.io/apimachinery/pkg/runtime/serializer/json"
	kubernetesnumbers "k8s.io/apimachinery/pkg/util/json"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"
)

type object struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Name       string   `json:"name"`
	Problems   []string `json:"problems"`
}

type definition struct {
	validator  validation.SchemaValidator
	structural *schema.Structural
}

func main() {
	definitions, err := readDefinitions(os.Args[1])
	if err != nil {
		fail(err)
	}
	if err := monitoringv1.AddToScheme(scheme.Scheme); err != nil {
		fail(err)
	}
	objects := []object{}
	documents, err := io.ReadAll(os.Stdin)
	if err != nil {
		fail(err)
	}
	for _, document := range bytes.Split(documents, []byte("\n---")) {
		parsed, err := parse(document)
		if err != nil {
			fail(err)
		}
		if len(parsed) == 0 {
			continue
		}
		objects = append(objects, check(document, parsed, definitions))
	}
	if err := json.NewEncoder(os.Stdout).Encode(objects); err != nil {
		fail(err)
	}
}

// As the API server reads it: whole numbers stay whole.
func parse(document []byte) (map[string]any, error) {
	text, err := yaml.YAMLToJSON(document)
	if err != nil {
		return nil, err
	}
	var parsed map[string]any
	err = kubernetesnumbers.Unmarshal(text, &parsed)
	return parsed, err
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func check(document []byte, parsed map[string]any, definitions map[string]definition) object {
	apiVersion, _ := parsed["apiVersion"].(string)
	kind, _ := parsed["kind"].(string)
	metadata, _ := parsed["metadata"].(map[string]any)
	name, _ := metadata["name"].(string)
	found := object{APIVersion: apiVersion, Kind: kind, Name: name, Problems: []string{}}
	if definition, ok := definitions[apiVersion+" "+kind]; ok {
		found.Problems = append(found.Problems, customProblems(document, parsed, definition)...)
	} else if err := decodeStrictly(document); err != nil {
		found.Problems = append(found.Problems, err.Error())
	}
	return found
}

func decodeStrictly(document []byte) error {
	strict := kubernetesjson.NewSerializerWithOptions(kubernetesjson.DefaultMetaFactory, scheme.Scheme, scheme.Scheme,
		kubernetesjson.SerializerOptions{Yaml: true, Strict: true})
	_, _, err := strict.Decode(document, nil, nil)
	if runtime.IsNotRegisteredError(err) {
		return errors.New("neither a kind of Kubernetes nor one whose definition is here")
	}
	return err
}

func customProblems(document []byte, parsed map[string]any, definition definition) []string {
	problems := []string{}
	var unread map[string]any
	// Duplicate fields.
	if err := yaml.UnmarshalStrict(document, &unread); err != nil {
		problems = append(problems, err.Error())
	}
	options := schema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true}
	for _, path := range pruning.PruneWithOptions(runtime.DeepCopyJSON(parsed), definition.structural, true, options) {
		problems = append(problems, "unknown field "+path)
	}
	defaulting.Default(parsed, definition.structural)
	found := validation.ValidateCustomResource(nil, parsed, definition.validator)
	if rules := cel.NewValidator(definition.structural, true, celconfig.PerCallLimit); rules != nil {
		broken, _ := rules.Validate(context.Background(), nil, definition.structural, parsed, nil, celconfig.RuntimeCELCostBudget)
		found = append(found, broken...)
	}
	for _, err := range found {
		problems = append(problems, err.Error())
	}
	return problems
}

// By "apiVersion kind".
func readDefinitions(folder string) (map[string]definition, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil {
		return nil, err
	}
	definitions := map[string]definition{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var read apiextensionsv1.CustomResourceDefinition
		if err := yaml.Unmarshal(text, &read); err != nil {
			return nil, err
		}
		for _, version := range read.Spec.Versions {
			definition, err := define(version.Schema.OpenAPIV3Schema)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
			definitions[read.Spec.Group+"/"+version.Name+" "+read.Spec.Names.Kind] = definition
		}
	}
	return definitions, nil
}

func define(written *apiextensionsv1.JSONSchemaProps) (definition, error) {
	var properties apiextensions.JSONSchemaProps
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(written, &properties, nil); err != nil {
		return definition{}, err
	}
	structural, err := schema.NewStructural(&properties)
	if err != nil {
		return definition{}, err
	}
	validator, _, err := validation.NewSchemaValidator(&properties)
	return definition{validator: validator, structural: structural}, err
}
