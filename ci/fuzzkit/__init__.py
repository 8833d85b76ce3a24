"""What ci/campaign and the build for OSS-Fuzz share: the seed corpora."""
