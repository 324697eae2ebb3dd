package entra

import (
	"net/http"
	"os"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"kisibridge/internal/fault"
)

// credential makes the one of the three that is set.
func (o Options) credential(login string, client *http.Client) (azcore.TokenCredential, error) {
	common := policy.ClientOptions{
		Cloud:     cloud.Configuration{ActiveDirectoryAuthorityHost: login},
		Transport: client,
		Retry:     policy.RetryOptions{MaxRetries: -1}, // the queue tries again
	}
	const op = "entra credential"
	switch {
	case o.Tenant == "" || o.ClientID == "":
		return nil, fault.New(fault.Invalid, op, "AZURE_TENANT_ID and AZURE_CLIENT_ID must both be set")
	case o.ClientSecret != "" && o.CertificatePath == "" && o.FederatedTokenFile == "":
		cred, err := azidentity.NewClientSecretCredential(o.Tenant, o.ClientID, o.ClientSecret,
			&azidentity.ClientSecretCredentialOptions{ClientOptions: common, DisableInstanceDiscovery: true})
		return cred, invalid("AZURE_CLIENT_SECRET", err)
	case o.CertificatePath != "" && o.ClientSecret == "" && o.FederatedTokenFile == "":
		return o.certificate(common)
	case o.FederatedTokenFile != "" && o.ClientSecret == "" && o.CertificatePath == "":
		cred, err := azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{
			ClientOptions: common, ClientID: o.ClientID, TenantID: o.Tenant, TokenFilePath: o.FederatedTokenFile, DisableInstanceDiscovery: true,
		})
		return cred, invalid("AZURE_FEDERATED_TOKEN_FILE", err)
	}
	return nil, fault.New(fault.Invalid, op, "set one of AZURE_CLIENT_SECRET, AZURE_CLIENT_CERTIFICATE_PATH and AZURE_FEDERATED_TOKEN_FILE")
}

func (o Options) certificate(common policy.ClientOptions) (azcore.TokenCredential, error) {
	const setting = "AZURE_CLIENT_CERTIFICATE_PATH"
	text, err := os.ReadFile(o.CertificatePath)
	if err != nil {
		return nil, invalid(setting, err)
	}
	certs, key, err := azidentity.ParseCertificates(text, nil)
	if err != nil {
		return nil, invalid(setting, err)
	}
	cred, err := azidentity.NewClientCertificateCredential(o.Tenant, o.ClientID, certs, key,
		&azidentity.ClientCertificateCredentialOptions{ClientOptions: common, DisableInstanceDiscovery: true})
	return cred, invalid(setting, err)
}

func invalid(setting string, err error) error {
	if err == nil {
		return nil
	}
	return &fault.Error{Class: fault.Invalid, Op: "entra credential", Err: err, Hint: "see " + setting}
}
