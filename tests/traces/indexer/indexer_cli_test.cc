// `tierscope indexer` as a user meets it: from a sample over training and scoring to a simulated
// sweep of threshold and tau; wrong input; an interrupted training.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "simdjson.h"

#include "tests/testing/command.h"
#include "traces/byte_source.h"
#include "traces/safetensors.h"

namespace tierscope::testing {
namespace {

class IndexerCliTest : public ::testing::Test {
 protected:
  static constexpr char kTraining[] =
      " --heads=8 --rank=16 --batch=8 --learning-rate=0.01 --stride=64 --loss=bce ";

  void Run(const std::string& arguments) {
    output_ = RunTierscope(arguments);
    EXPECT_EQ(output_.exit_code, 0) << arguments << "\n" << output_.err;
  }
  std::string File(const std::string& name) const { return folder_.File(name); }
  std::string BytesOf(const std::string& name) const {
    std::ostringstream bytes;
    bytes << std::ifstream(File(name), std::ios::binary).rdbuf();
    return bytes.str();
  }
  void Sample(const std::string& options = "") {
    Run("indexer sample --layers=10 --hidden=32 " + options +
        " --checkpoint-out=" + File("planted") + " --out=" + File("dump"));
  }

  TempFolder folder_;
  CommandOutput output_;
};

double MetricOf(const std::string& json, const std::string& name) {
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  EXPECT_EQ(parser.parse(json).get(root), simdjson::SUCCESS);
  double value = -1.0;
  EXPECT_EQ(root["metrics"][name]["value"].get(value), simdjson::SUCCESS) << name;
  return value;
}

TEST_F(IndexerCliTest, FromASampleToASweep) {
  Sample();
  Run("indexer sample --layers=10 --hidden=32 --document=1 --out=" + File("fresh"));
  Run("indexer train " + File("dump") + kTraining + "--epochs=12 --out=" + File("trained") +
      " --format=csv");
  EXPECT_EQ(output_.out.find("epoch,loss,auc,recall,kept,best\n0,,0."), 0u) << output_.out;
  EXPECT_NE(output_.err.find("windows trained on"), std::string::npos);
  Run("indexer train " + File("dump") + kTraining + "--epochs=0 --out=" + File("untrained"));

  const std::string scenario = std::string(TIERSCOPE_SOURCE_DIR) + "/scenarios/h20_lsa.txtpb";
  double auc[2];
  for (const bool trained : {false, true}) {
    const std::string name = trained ? "trained" : "untrained", trace = File(name + ".trace");
    Run("indexer score " + File(name) + " " + File("fresh") + " --stride=64 --out=" + trace);
    EXPECT_NE(output_.err.find("1 profiles, 256 ticks, 653312 scores, 256 golden windows"),
              std::string::npos)
        << output_.err;
    Run("trace verify " + trace);
    Run("trace info " + trace);
    EXPECT_NE(output_.out.find("against golden entries: 256 windows"), std::string::npos);
    double recall_of_lower = 2.0;
    for (const char* threshold : {"0.5", "0.75"}) {
      std::vector<double> recalls;
      for (const char* tau : {"64", "128"}) {
        Run("run " + scenario + " --format=json --overwrite --set workload.attention.trace=" +
            trace + ",workload.context_tokens=2048,workload.output_tokens=4000" +
            ",workload.concurrency=2,engine.simulated_s=10,policy.threshold=" + threshold +
            ",policy.tau_steps=" + tau + " --out=" + File("run"));
        if (output_.exit_code != 0) return;
        auc[trained] = MetricOf(output_.out, "indexer_auc.golden");
        recalls.push_back(MetricOf(output_.out, "indexer_recall.golden"));
        EXPECT_GE(MetricOf(output_.out, "indexer_precision.golden"), 0.0);
        EXPECT_GT(MetricOf(output_.out, "throughput_tok_per_s"), 0.0);
      }
      EXPECT_NE(recalls[0], recalls[1]) << "tau does not reach the metrics";
      EXPECT_LT(recalls[0], recall_of_lower);
      recall_of_lower = recalls[0];
      if (trained) {
        EXPECT_GT(recalls[0], 0.6) << threshold;
      }
    }
  }
  EXPECT_LT(auc[0], 0.8);
  EXPECT_GT(auc[1], 0.95);
}

TEST_F(IndexerCliTest, WrongInput) {
  Sample("--rows=8");
  const std::string dump = File("dump");
  const auto expect_wrong = [&](const std::string& arguments, const std::string& part) {
    const CommandOutput output = RunTierscope("indexer " + arguments);
    EXPECT_EQ(output.exit_code, 2) << arguments;
    EXPECT_EQ(output.out, "") << arguments;
    EXPECT_NE(output.err.find(part), std::string::npos) << output.err;
    EXPECT_EQ(std::count(output.err.begin(), output.err.end(), '\n'), 1) << output.err;
  };
  expect_wrong("", "there are score, train, sample");
  expect_wrong("score " + dump + " " + dump + " --out=" + File("t"), "no tensor retrievers.lL");
  expect_wrong("score " + File("planted") + " " + File("planted") + " --out=" + File("t"),
               "layer 10 has no hidden_layer_10");
  expect_wrong("score " + File("none") + " " + dump + " --out=" + File("t"), File("none"));
  expect_wrong("score " + File("planted") + " " + dump + " --out=" + dump, "--overwrite");
  expect_wrong("score " + File("planted") + " " + dump + " --stride=16 --out=" + File("t"),
               "give --stride as a multiple");
  expect_wrong("train " + dump + " --stride=64 --resume --out=" + File("none"), File("none"));
  expect_wrong("train " + dump + " --loss=hinge --out=" + File("t"), "--loss");
  expect_wrong("sample --head-dim=12 --out=" + File("t"), "power of two");
}

// A process of its own: a shell would start it with SIGINT ignored.
pid_t StartTraining(const std::vector<std::string>& arguments, int* err) {
  int ends[2];
  EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
  std::vector<char*> words;
  for (const std::string& argument : arguments)
    words.push_back(const_cast<char*>(argument.c_str()));
  words.push_back(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGINT, SIG_DFL);
    dup2(ends[1], STDERR_FILENO);
    dup2(open("/dev/null", O_WRONLY), STDOUT_FILENO);
    execv(TIERSCOPE_BINARY, words.data());
    _exit(127);
  }
  close(ends[1]);
  *err = ends[0];
  return child;
}

int64_t EpochsOf(const std::string& checkpoint) {
  const auto source = OpenFileSource(checkpoint);
  const auto tensors = ReadSafetensorsHeader(**source);
  for (const Tensor& tensor : *tensors) {
    int64_t epochs = -1;
    if (tensor.name != "training.state") continue;
    EXPECT_TRUE((*source)->ReadAt(tensor.offset, reinterpret_cast<char*>(&epochs), 8).ok());
    return epochs;
  }
  return -1;
}

TEST_F(IndexerCliTest, AnInterruptedTrainingGoesOnFromTheLastWholeEpoch) {
  Sample("--rows=64");
  std::vector<std::string> words = {
      TIERSCOPE_BINARY,  "indexer",          "train", File("dump"), "--out=" + File("parts"),
      "--epochs=100000", "--patience=100000"};
  std::istringstream rest(kTraining);
  for (std::string word; rest >> word;) words.push_back(word);
  int err = -1;
  const pid_t child = StartTraining(words, &err);
  std::string said;
  char byte;
  while (said.find("epoch 3:") == std::string::npos && read(err, &byte, 1) == 1) said += byte;
  kill(child, SIGINT);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  close(err);
  ASSERT_NE(said.find("epoch 3:"), std::string::npos) << said;
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT) << status;

  Run("indexer score " + File("parts") + " " + File("dump") + " --stride=64 --out=" + File("t"));
  const int64_t epochs = EpochsOf(File("parts"));
  ASSERT_GE(epochs, 3);
  const std::string train = "indexer train " + File("dump") + kTraining +
                            "--patience=100000 --epochs=" + std::to_string(epochs + 2);
  Run(train + " --resume --out=" + File("parts"));
  Run(train + " --out=" + File("whole"));
  EXPECT_EQ(BytesOf("parts"), BytesOf("whole"));
}

}  // namespace
}  // namespace tierscope::testing
