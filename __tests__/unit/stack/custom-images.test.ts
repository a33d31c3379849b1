import { describe, expect, it } from "vitest";
import { expression, resource, statements, synthesize } from "../../support/synthesize.ts";

const imageUri = "123456789012.dkr.ecr.us-east-1.amazonaws.com/team/geo:1.0";
const otherUri = "210987654321.dkr.ecr.us-east-1.amazonaws.com/torch@sha256:abc";
const images = [
  { name: "geo", imageUri },
  { name: "torch", imageUri: otherUri, gpu: true },
];
const stack = synthesize({ images });

describe("custom images", () => {
  it("are images, versions and configurations of SageMaker, which outlive the profiles' changes", () => {
    const lifecycle = { create_before_destroy: true };
    expect(resource(stack, "aws_sagemaker_image", "images_geo_image")).toMatchObject({
      image_name: expect.stringMatching(/^marimo-dev-geo-[0-9a-f]{8}$/),
      display_name: "geo",
      role_arn: expression("aws_iam_role.images_role.arn"),
      depends_on: ["aws_iam_role_policy.images_pull"],
      lifecycle,
    });
    expect(resource(stack, "aws_sagemaker_image_version", "images_geo_version")).toMatchObject({
      image_name: expression("aws_sagemaker_image.images_geo_image.image_name"),
      base_image: imageUri,
      processor: "CPU",
      lifecycle,
    });
    expect(resource(stack, "aws_sagemaker_image_version", "images_torch_version")).toMatchObject({
      base_image: otherUri,
      processor: "GPU",
    });
    expect(resource(stack, "aws_sagemaker_app_image_config", "images_geo_config")).toMatchObject({
      app_image_config_name: "marimo-dev-geo",
      jupyter_lab_image_config: {
        file_system_config: { default_uid: 1000, default_gid: 100, mount_path: "/home/sagemaker-user" },
      },
      lifecycle,
    });
  });

  it("are other images of the same name in Studio if their address changes", () => {
    const other = synthesize({ images: [{ name: "geo", imageUri: `${imageUri}.1` }] });
    const [before, after] = [stack, other].map((one) =>
      resource(one, "aws_sagemaker_image", "images_geo_image"),
    );
    expect(after?.image_name).not.toBe(before?.image_name);
    expect(after?.display_name).toBe(before?.display_name);
  });

  it("can be chosen in the spaces of user profiles, by their version, and are not in the domain", () => {
    const custom_image = ["geo", "torch"].map((name) => ({
      app_image_config_name: expression(
        `aws_sagemaker_app_image_config.images_${name}_config.app_image_config_name`,
      ),
      image_name: expression(`aws_sagemaker_image.images_${name}_image.image_name`),
      image_version_number: expression(`aws_sagemaker_image_version.images_${name}_version.version`),
    }));
    const { user_settings } = resource(stack, "aws_sagemaker_user_profile", "studio_profiles");
    expect(user_settings).toMatchObject({ jupyter_lab_app_settings: { custom_image } });
    expect(user_settings).not.toMatchObject({ code_editor_app_settings: { custom_image } });
    const domain = resource(stack, "aws_sagemaker_domain", "studio_domain");
    expect(JSON.stringify(domain)).not.toMatch(/custom_image|aws_sagemaker_image/);
  });

  it("have a role that pulls these images and does nothing else", () => {
    const { statement } = stack.data.aws_iam_policy_document?.images_pull_document ?? {};
    const partition = expression("data.aws_partition.account_partition.partition");
    expect(statement).toMatchObject([
      {
        actions: ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
        resources: [
          `arn:${partition}:ecr:us-east-1:123456789012:repository/team/geo`,
          `arn:${partition}:ecr:us-east-1:210987654321:repository/torch`,
        ],
      },
      { actions: ["ecr:GetAuthorizationToken"] },
    ]);
    const policies = Object.entries(stack.resource.aws_iam_role_policy ?? {});
    const own = policies.filter(([, { role }]) => role === expression("aws_iam_role.images_role.name"));
    expect(own.map(([name]) => name)).toEqual(["images_pull"]);
  });

  it("can be described by everybody, who cannot pull or change them", () => {
    const { DescribeImages } = statements(stack, "execution_spaces_document");
    const { actions, resources = [] } = DescribeImages ?? { actions: [] };
    expect(resources).toHaveLength(3);
    for (const action of actions) expect(action).toMatch(/^sagemaker:(Describe|List)/);
    for (const one of resources)
      expect(one).toMatch(/:(app-image-config|image|image-version)\/marimo-dev-\*$/);
    expect(statements(synthesize({}), "execution_spaces_document")).not.toHaveProperty("DescribeImages");
  });

  it("leave no trace in an environment without images", () => {
    expect(synthesize({ images: [] }).text).toBe(synthesize({}).text);
    expect(synthesize({}).text).not.toMatch(/custom_image|sagemaker_image|app_image_config/);
  });
});
